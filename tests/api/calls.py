"""All calls of the API that require a key."""

MODEL, RENDER, OVERLAY = "/v1/models/Ab3kF9x2qL1m", "/v1/renders/Xz7pQ4w8nR2k", "/v1/overlays/abc123DEF456"
ADMIN_RENDER = "/v1/admin/renders/Xz7pQ4w8nR2k"
SCENE, EFFECT = "/v1/scenes/beach", "/v1/effects/somersault"
# The required scope, and error code and status of the response to a key with that scope and no body.
CALLS = {
    ("POST", "/v1/models"): ("models:write", "no_file", 400),
    ("GET", "/v1/models"): ("models:read", None, 200),
    ("POST", "/v1/models/ingest"): ("models:write", "invalid_request", 422),
    ("POST", "/v1/models/check-hash"): ("models:read", "invalid_request", 422),
    ("GET", MODEL): ("models:read", "model_not_found", 404),
    ("PATCH", MODEL): ("models:write", "invalid_request", 422),
    ("DELETE", MODEL): ("models:write", "model_not_found", 404),
    ("PATCH", f"{MODEL}/archive"): ("models:write", "model_not_found", 404),
    ("PATCH", f"{MODEL}/unarchive"): ("models:write", "model_not_found", 404),
    ("GET", f"{MODEL}/file"): ("models:read", "model_not_found", 404),
    ("POST", "/v1/renders"): ("renders:write", "invalid_request", 422),
    ("GET", "/v1/renders"): ("renders:read", None, 200),
    ("POST", "/v1/renders/batch"): ("renders:write", "invalid_request", 422),
    ("GET", RENDER): ("renders:read", "render_not_found", 404),
    ("DELETE", RENDER): ("renders:write", "render_not_found", 404),
    ("PATCH", f"{RENDER}/dismiss"): ("renders:write", "render_not_found", 404),
    ("GET", f"{RENDER}/video"): ("renders:read", "render_not_found", 404),
    ("GET", f"{RENDER}/poster"): ("renders:read", "render_not_found", 404),
    ("GET", f"{RENDER}/thumb"): ("renders:read", "render_not_found", 404),
    ("GET", f"{RENDER}/thumb.jpg"): ("renders:read", "render_not_found", 404),
    ("GET", f"{RENDER}/bundle"): ("renders:read", "render_not_found", 404),
    ("POST", "/v1/overlays"): ("overlays:write", "no_file", 400),
    ("GET", "/v1/overlays"): ("overlays:read", None, 200),
    ("PATCH", f"{OVERLAY}/publish"): ("overlays:write", "forbidden", 403),
    ("PATCH", f"{OVERLAY}/unpublish"): ("overlays:write", "forbidden", 403),
    ("DELETE", OVERLAY): ("overlays:write", "overlay_not_found", 404),
    ("GET", "/v1/scenes"): ("renders:read", None, 200),
    ("GET", f"{SCENE}/still"): ("renders:read", "not_found", 404),
    ("GET", "/v1/effects"): ("renders:read", None, 200),
    ("GET", f"{EFFECT}/still"): ("renders:read", "not_found", 404),
    ("GET", "/v1/account"): ("account:read", None, 200),
    ("POST", "/v1/quote"): ("account:read", "invalid_request", 422),
    ("GET", "/v1/admin/renders"): ("admin:read", "forbidden", 403),
    ("GET", ADMIN_RENDER): ("admin:read", "forbidden", 403),
    ("PATCH", f"{ADMIN_RENDER}/cancel"): ("admin:write", "forbidden", 403),
    ("PATCH", f"{ADMIN_RENDER}/retry"): ("admin:write", "forbidden", 403),
    ("PATCH", f"{ADMIN_RENDER}/priority"): ("admin:write", "forbidden", 403),
    ("GET", "/v1/admin/queue"): ("admin:read", "forbidden", 403),
    ("GET", "/metrics"): ("account:read", "forbidden", 403),  # not in OpenAPI
}
