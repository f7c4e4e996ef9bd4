"""Sessions of browsers in the portal. A cookie's token is random, new with each log-in, and stored as a digest only."""

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy.orm import Session, joinedload

from farm.accounts import accounts, credits
from farm.db import clock
from farm.db import sessions as rows
from farm.db.accounts import find_account, password_digest
from farm.db.tables import Account, BrowserSession, Invitation
from farm.errors import Forbidden, InvalidRequest, LoggedOut

LIFETIME = timedelta(days=14)
MAX_AGENT_LENGTH = 255
INVITATION_LIFETIME = timedelta(days=14)


def new_token() -> str:
    """A random token of 256 bits."""
    return secrets.token_urlsafe(32)


def credentials(db: Session, email: str) -> tuple[Account | None, str | None]:
    """The account with this address, if there is one, and the digest of its password, if it has one."""
    account = find_account(db, email)
    return account, password_digest(db, account.id) if account else None


def start(db: Session, account_id: str, digest: str, agent: str) -> str:
    """Log a browser in to the account whose password has this digest. Returns the token of its cookie.

    Raises Forbidden for a suspended account, LoggedOut when the password was changed a moment ago.
    """
    account = db.get(Account, account_id, with_for_update=True, populate_existing=True)
    if account is None or account.password_digest != digest:
        raise LoggedOut
    if account.suspended_at:
        raise Forbidden
    token = new_token()
    db.add(
        BrowserSession(
            account_id=account.id,
            digest=_digest(token),
            agent=agent[:MAX_AGENT_LENGTH],
            expires_at=clock.now(db) + LIFETIME,
        )
    )
    return token


def authenticate(db: Session, token: str) -> BrowserSession | None:
    """The session of a cookie's token, its account loaded; None if there is none, or it is over."""
    session = rows.with_digest(db, _digest(token))
    return session if session and session.expires_at > clock.now(db) else None


def check_again(db: Session, session_id: str, *, needs_admin: bool) -> None:
    """Raises LoggedOut or Forbidden when the session has ended since, or its account may no longer do it."""
    session = db.get(BrowserSession, session_id, options=[joinedload(BrowserSession.account)])
    if session is None or session.expires_at <= clock.now(db):
        raise LoggedOut
    if session.account.suspended_at:
        raise Forbidden
    if needs_admin:
        check_is_admin(session.account)


def check_is_admin(account: Account) -> None:
    """Raises Forbidden for an account that may not see the operator's pages."""
    if not account.is_admin:
        raise Forbidden("Only admin accounts may see the operator's pages")


def change_password(db: Session, account: Account, digest: str, *, keep: str | None = None) -> None:
    """Give the account a password, and end all its sessions except for `keep`."""
    row = db.get_one(Account, account.id, with_for_update=True)
    row.password_digest = digest
    rows.end(db, account.id, keep=keep)


def invite(db: Session, credits_: int) -> str:
    """Let one visitor sign up within two weeks, with some credits. Returns the invitation's code."""
    code = new_token()
    expires_at = clock.now(db) + INVITATION_LIFETIME
    db.add(Invitation(digest=_digest(code), credits=credits_, expires_at=expires_at))
    return code


def is_invited(db: Session, code: str) -> bool:
    """Whether an invitation has this code, and is not used or over."""
    invitation = rows.invitation(db, _digest(code))
    return invitation is not None and invitation.expires_at > clock.now(db)


def sign_up(db: Session, email: str, digest: str, code: str | None) -> Account:
    """Create an account with a password; with the credits of the invitation `code`, which is used up, or free ones.

    Raises InvalidRequest for a wrong code, for what is no email address, and when there is an account for this one.
    """
    credits_ = credits.FREE
    if code is not None:
        invitation = rows.take_invitation(db, _digest(code))
        if invitation is None or invitation.expires_at <= clock.now(db):
            raise InvalidRequest("This invitation was used before, or is over: ask the farm's operator for another")
        credits_ = invitation.credits
    try:
        account = accounts.create(db, email, credits_=credits_)
    except ValueError as error:
        raise InvalidRequest(str(error)) from error
    account.password_digest = digest
    db.flush()
    return account


def _digest(token: str) -> str:
    # One round is enough, as for keys: the token has 256 random bits.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
