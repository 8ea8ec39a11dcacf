"""The one Envoy of the bench: a listener for each thing that is measured, one worker."""

import json
import socket

WASM = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"
MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def ports(count):
    held = [socket.socket() for _ in range(count)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    found = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return found


def wasm(name, path, configuration=None, env=None, vm=None):
    config = {
        "name": name,
        "failure_policy": "FAIL_RELOAD",
        "allow_on_headers_stop_iteration": True,
        "vm_config": {
            "vm_id": vm or name, "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": str(path)}},
            "environment_variables": {"key_values": env or {}},
        },
    }
    if configuration:
        config["configuration"] = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": json.dumps(configuration)}
    return {"name": name, "typed_config": {"@type": WASM, "config": config}}


def oauth2(issuer, cluster):
    return {"name": "envoy.filters.http.oauth2", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.oauth2.v3.OAuth2",
        "config": {
            "token_endpoint": {"cluster": cluster, "uri": f"{issuer}/token", "timeout": "5s"},
            "authorization_endpoint": f"{issuer}/authorize",
            "redirect_uri": "http://%REQ(:authority)%/callback",
            "redirect_path_matcher": {"path": {"exact": "/callback"}},
            "signout_path": {"path": {"exact": "/signout"}},
            "forward_bearer_token": True,
            "auth_scopes": ["openid", "email", "profile"],
            "credentials": {"client_id": "bench", "token_secret": {"name": "token"}, "hmac_secret": {"name": "hmac"}},
        },
    }}


def jwt_authn(issuer, jwks):
    """What verifies the token that the OAuth2 filter passes on."""
    return {"name": "envoy.filters.http.jwt_authn", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"idp": {"issuer": issuer, "audiences": ["account"], "forward": True, "local_jwks": {"inline_string": json.dumps(jwks)}}},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}}],
    }}


def listener(name, port, filters):
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}}
    return {"name": name, "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}, "filter_chains": [{"filters": [{
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": MANAGER, "stat_prefix": name, "normalize_path": True, "merge_slashes": True,
            "http_filters": [*filters, router],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        },
    }]}]}


def cluster(name, port):
    endpoint = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
    return {"name": name, "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}}


def sso(port, provider, cluster, **more):
    return {
        "session": {"keys": [{"id": "k", "env": "SSO_SESSION_KEY"}]},
        "cookies": {"secure": False},
        "clusters": {"*": cluster},
        "accounts": [{
            "code": "bench", "origins": [f"http://localhost:{port}"], "sso": "enabled",
            "identity_providers": [provider], **more,
        }],
    }


def oidc(issuer):
    return {"id": "idp", "oidc": {"discovery": f"{issuer}/.well-known/openid-configuration", "client_id": "bench", "client_secret": {"value": "bench-secret"}}}

