"""The services that run beside the steps."""
import os

from orchest import error
from orchest.utils import get_pipeline


def get_service(name):
    """Returns what is known of one service; see `get_services`."""
    services = get_services()
    try:
        return services[name]
    except KeyError:
        raise error.ServiceNotFound(
            "there is no service `{}`; the services of this session are: {}".format(
                name, ", ".join(sorted(services)) or "none"
            )
        ) from None


def get_services():
    """Returns the services of this session by name.

    Each is its definition without the scope, and `internal_hostname`, `external_urls` and `base_paths`, which map
    each port to an address. The addresses contain the literal text `{host_name}` and `{port}`.
    """
    session_type = os.environ.get("ORCHEST_SESSION_TYPE", "noninteractive")
    if session_type not in ("interactive", "noninteractive"):
        raise error.UnrecognizedSessionType("`ORCHEST_SESSION_TYPE` is `{}`".format(session_type))
    session = os.environ.get("ORCHEST_SESSION_UUID")
    if not session:
        raise error.SessionNotFound("the variable `ORCHEST_SESSION_UUID` is not set")
    services = get_pipeline().properties.get("services") or {}
    return {
        name: _describe(name, service, session)
        for name, service in services.items()
        if session_type in (service.get("scope") or [])
    }


def _describe(name, service, session):
    host = "{}-{}".format(name, session)
    prefix = "pbp-" if service.get("preserve_base_path") else ""
    path = "/{}service-{}".format(prefix, host)
    ports = service.get("ports") or []
    described = {key: value for key, value in service.items() if key != "scope"}
    described["internal_hostname"] = host
    described["external_urls"] = {port: "http://{{host_name}}:{{port}}{}_{}".format(path, port) for port in ports}
    described["base_paths"] = {port: "{}_{}".format(path, port) for port in ports}
    return described
