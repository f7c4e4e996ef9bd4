"""The hierarchy of errors.

FarmError                  code, status, message: all that a client sees
+- Unauthorized            401 unauthorized
|  +- TokenExpired         401 token_expired
+- NoCredits               402 no_credits, with the number needed and the number left
+- Forbidden               403 forbidden
|  +- InsufficientScope    403 insufficient_scope, names the scope that the key lacks
+- NoFile                  400 no_file
+- InvalidFormat           400 invalid_format
|  +- IntakeCrashed        400 invalid_format, the process that opened the file crashed
|  +- HarmfulModel         400 invalid_format, the file has crashed or hung Blender on nodes that draw other models
+- FileTooLarge            400 file_too_large
+- InvalidSettings         400 invalid_settings, names the field, the value and what is allowed
+- ModelIdRequired         400 model_id_required
+- RendersRequired         400 renders_required
+- TooMany                 400 too_many
+- UrlRequired             400 url_required
+- InvalidUrl              400 invalid_url, malformed or not a public address
+- DownloadFailed          400 download_failed, with the response of the URL's host
+- DownloadTimeout         408 timeout
+- Sha256Required          400 sha256_required
+- RequestTimeout          408 request_timeout, the request itself arrives too slowly
+- InvalidRequest          422 invalid_request, any other error in a request
+- BodyTooLarge            413 body_too_large, a JSON body above the size limit
+- MethodNotAllowed        405 method_not_allowed
+- Conflict                409 conflict, the operation is not possible in the object's status
+- IdempotencyInFlight     409 idempotency_in_flight, the first request with this Idempotency-Key is not over
+- IdempotencyMismatch     422 idempotency_mismatch, the Idempotency-Key was used for another request
+- NotFound                404 not_found, no such path
|  +- ModelNotFound        404 model_not_found
|  +- OverlayNotFound      404 overlay_not_found
|  +- RenderNotFound       404 render_not_found
|  +- VideoNotFound        404 video_not_found
|  +- PosterNotFound       404 poster_not_found
|  +- ThumbNotFound        404 thumb_not_found
|  +- FileNotFound         404 file_not_found
+- RangeNotSatisfiable     416 range_not_satisfiable
+- UploadLimit             429 upload_limit
+- RateLimited             429 rate_limited, with the limit and the seconds to wait
|  +- TooManyAtOnce        429 rate_limited, the account has too many requests at a time
+- Unavailable             503 unavailable, names the part of the farm that is down
|  +- WrongVersion         503 unavailable, the tables are not of this code's version
+- SandboxTooWeak          500 internal, this machine cannot confine Blender as FARM_SANDBOX_REQUIRED asks
+- RenderFailed            500 internal; its message becomes the render's errorMessage
   +- BadModel             the file itself is the cause: a retry cannot help
   |  +- ModelTooLarge     rendering it needs more memory than a node allows
   +- BadTemplate          the scene template is the cause; perhaps it is being saved
   +- BlenderCrashed       Blender crashed while rendering
   +- BlenderTimeout       Blender did not respond in time
   |  +- OpeningTimeout    Blender did not open the model in time: it is not tried again
   +- OverBudget           the render took more than its budget: it is not tried again
   +- EncodingFailed       ffmpeg failed
   +- DiskFull             a disk of the farm is full
   +- WorkerLost           the worker died or disappeared while it held the lease

Outside the hierarchy, internal and never sent to a client:
LeaseLost                  the chunk belongs to another attempt, or its render was deleted
NodeRefused                a worker may not join the farm, or not stay in it
CannotStart                `farm up` cannot start the farm
InvalidTransition          a status change that the table of transitions does not allow
"""

import errno


class FarmError(Exception):
    """Base of all expected errors. The message is written for the reader, client or operator."""

    code = "internal"
    status = 500
    default = "Internal server error"
    retry_after: int | None = None  # seconds after which the request may succeed, if they are known

    def __init__(self, message: str | None = None) -> None:
        self.message = message or self.default
        super().__init__(self.message)


class Unauthorized(FarmError):
    code, status, default = "unauthorized", 401, "Missing, malformed or revoked API key"


class TokenExpired(Unauthorized):
    code, default = "token_expired", "This API key has expired"


class NoCredits(FarmError):
    code, status, default = "no_credits", 402, "Not enough render credits left"

    def __init__(self, needed: int, left: int) -> None:
        super().__init__(f"Not enough render credits: {needed} needed, {left} left")


class Forbidden(FarmError):
    code, status, default = "forbidden", 403, "This account is suspended"


class InsufficientScope(Forbidden):
    code, default = "insufficient_scope", "This API key lacks the scope that the call requires"

    def __init__(self, scope: str) -> None:
        super().__init__(f"This API key lacks the scope {scope}")


class NoFile(FarmError):
    code, status, default = "no_file", 400, "Send the file as the multipart field 'file'"


class InvalidFormat(FarmError):
    code, status, default = "invalid_format", 400, "The file is not a readable .glb, .gltf or .zip"


class IntakeCrashed(InvalidFormat):
    default = "The file cannot be opened: it is damaged or malicious; export it again"


class HarmfulModel(InvalidFormat):
    default = (
        "This model cannot be rendered: it has crashed or hung the renderer twice, on nodes that render other models."
        " Simplify or repair it, and export it again"
    )


class FileTooLarge(FarmError):
    code, status, default = "file_too_large", 400, "The file exceeds the 100 MB limit"


class InvalidSettings(FarmError):
    code, status, default = "invalid_settings", 400, "renderSettings holds a value that is not allowed"


class ModelIdRequired(FarmError):
    code, status, default = "model_id_required", 400, "Send the model's id as 'modelId'"


class RendersRequired(FarmError):
    code, status, default = "renders_required", 400, "Send a list of at least one item as 'renders'"


class TooMany(FarmError):
    code, status, default = "too_many", 400, "Send at most 100 items at once"


class UrlRequired(FarmError):
    code, status, default = "url_required", 400, "Send the model's URL as 'url'"


class InvalidUrl(FarmError):
    code, status, default = "invalid_url", 400, "The URL is malformed or does not lead to a public address"


class DownloadFailed(FarmError):
    code, status, default = "download_failed", 400, "The URL's host did not deliver the file"


class DownloadTimeout(FarmError):
    code, status, default = "timeout", 408, "The download from the URL took longer than 2 minutes"


class RequestTimeout(FarmError):
    code, status, default = "request_timeout", 408, "The request arrived too slowly: send it again"


class Sha256Required(FarmError):
    code, status, default = "sha256_required", 400, "Send the file's SHA-256 as 'sha256': 64 hex digits"


class InvalidRequest(FarmError):
    code, status, default = "invalid_request", 422, "The request cannot be read"


class BodyTooLarge(FarmError):
    code, status, default = "body_too_large", 413, "The request body is too large"


class MethodNotAllowed(FarmError):
    code, status, default = "method_not_allowed", 405, "This path does not support this method"


class Conflict(FarmError):
    code, status, default = "conflict", 409, "The operation is not possible in the render's current status"


class IdempotencyInFlight(FarmError):
    code, status = "idempotency_in_flight", 409
    default = "The first request with this Idempotency-Key is still being processed: repeat it in a few seconds"
    retry_after = 5


class IdempotencyMismatch(FarmError):
    code, status = "idempotency_mismatch", 422
    default = "This Idempotency-Key was used for another request within 24 hours: send a new key"


class NotFound(FarmError):
    code, status, default = "not_found", 404, "There is no resource at this path: /docs lists all calls"


class ModelNotFound(NotFound):
    code, default = "model_not_found", "Model not found"


class OverlayNotFound(NotFound):
    code, default = "overlay_not_found", "Overlay not found"


class RenderNotFound(NotFound):
    code, default = "render_not_found", "Render not found"


class VideoNotFound(NotFound):
    code, default = "video_not_found", "Video not yet available"


class PosterNotFound(NotFound):
    code, default = "poster_not_found", "Poster not yet available"


class ThumbNotFound(NotFound):
    code, default = "thumb_not_found", "Thumbnail not yet available"


class FileNotFound(NotFound):
    code, default = "file_not_found", "Model file not found in storage"


class RangeNotSatisfiable(FarmError):
    code, status, default = "range_not_satisfiable", 416, "The requested range lies outside the file"

    def __init__(self, size: int) -> None:
        super().__init__(f"The requested range lies outside the file, which has {size} bytes")
        self.size = size


class UploadLimit(FarmError):
    code, status, default = "upload_limit", 429, "Upload limit reached"


class RateLimited(FarmError):
    code, status, default = "rate_limited", 429, "Too many writes in a short time"

    def __init__(self, limit: int, retry_after: int) -> None:
        super().__init__(
            f"Too many writes: at most {limit} a minute are allowed. Repeat the request in {retry_after} s"
        )
        self.limit, self.retry_after = limit, retry_after


class TooManyAtOnce(RateLimited):
    """`limit` writes of the account are being processed."""

    def __init__(self, limit: int) -> None:
        FarmError.__init__(self, f"{limit} requests of this account are being processed: wait for one to end")
        self.limit, self.retry_after = limit, 5


class Unavailable(FarmError):
    code, status, default = "unavailable", 503, "A part of the farm is down"


class WrongVersion(Unavailable):
    """The database's tables are not of this code's version; the message says what to run."""

    default = "The farm is being upgraded: try again shortly"


class SandboxTooWeak(FarmError):
    default = "This machine cannot confine Blender as FARM_SANDBOX_REQUIRED asks"


class RenderFailed(FarmError):
    """With `is_final`, another attempt would fail in the same way, and is not made."""

    default = "The render failed"
    is_final = False


class BadModel(RenderFailed):
    default = "The model cannot be rendered"
    is_final = True


class ModelTooLarge(BadModel):
    def __init__(self, max_bytes: int) -> None:
        super().__init__(
            f"Rendering this model needs more than the {max_bytes / 1024**3:.1f} GB of memory that the farm allows:"
            " reduce its triangles, or the size of its textures"
        )


class BadTemplate(RenderFailed):
    default = "The scene template cannot be used"


class BlenderCrashed(RenderFailed):
    default = "Blender stopped unexpectedly while rendering this model"


class BlenderTimeout(RenderFailed):
    default = "Rendering a frame of this model took longer than allowed"


class OpeningTimeout(BlenderTimeout):
    default = "Opening this model took longer than allowed"
    is_final = True

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"Opening this model took longer than the {seconds:.0f} s that a file of its size is given: reduce its"
            " triangles, objects and modifiers, and export it again"
        )


class OverBudget(RenderFailed):
    default = "This render took longer than its budget"
    is_final = True

    def __init__(self, seconds: float, frames: int) -> None:
        super().__init__(
            f"Rendering {frames} frames of this model took longer than the {seconds:.0f} s that they are given, many"
            " times what others take: simplify the model, or order a lower quality"
        )


class EncodingFailed(RenderFailed):
    default = "The video could not be encoded"


class DiskFull(RenderFailed):
    default = "A disk of the farm is full: there is no space for this render's files"


class WorkerLost(RenderFailed):
    default = "The worker stopped while it was rendering"


def is_disk_full(error: BaseException) -> bool:
    """Whether a write failed because a disk, a quota or the file size limit is exhausted."""
    if not isinstance(error, OSError):
        return False
    is_numpys = error.errno is None and "requested and" in str(error)  # raised without an errno
    return is_numpys or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def reason_of(error: BaseException) -> str:
    """The first line of an error; of one of the database, that of its driver, without the statement."""
    return (str(getattr(error, "orig", None) or error) or type(error).__name__).splitlines()[0]


class LeaseLost(Exception):
    """The worker lost the chunk: another attempt has it, or the render was deleted. Stop, and publish nothing."""


class NodeRefused(Exception):
    """This worker may not join the farm, or not stay in it. The message has the reason and the fix."""


class CannotStart(Exception):
    """The farm cannot start. The message has the reason and the fix."""


class InvalidTransition(Exception):
    """A status change that the table of transitions does not allow: always a bug."""
