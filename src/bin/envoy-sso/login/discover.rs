//! From a URL to the endpoints of its authorization server.

use serde_json::{Map, Value};
use url::Url;

use super::web;

/// A protected resource (RFC 9728).
#[derive(Debug)]
pub struct Resource {
    /// Its identifier.
    pub resource: String,
    /// The issuers whose tokens count.
    pub servers: Vec<String>,
    /// The scopes that it needs.
    pub scopes: Vec<String>,
    /// The client that programs may use.
    pub client_id: Option<String>,
}

impl Resource {
    /// The resource that the URL belongs to: the one that its challenge names, else the one whose metadata stands at the
    /// well-known place of its path or origin (RFC 9728 sections 3.1 and 5).
    pub fn find(text: &str) -> Result<Self, String> {
        let url = web::url(text)?;
        let answer = web::get(&url)?;
        let challenges = answer.headers().get_all("www-authenticate").iter();
        let named = challenges.filter_map(|value| metadata_of(value.to_str().ok()?)).next();
        let places = match named {
            Some(named) => vec![web::url(&named)?],
            None => well_known(&url),
        };
        let mut problem = String::new();
        for place in places {
            match web::document(&place).and_then(|document| Self::read(&url, &document)) {
                Ok(resource) => return Ok(resource),
                Err(why) => problem = why,
            }
        }
        Err(format!("{text} has no metadata of a protected resource (RFC 9728): {problem}"))
    }

    fn read(url: &Url, document: &Map<String, Value>) -> Result<Self, String> {
        let resource = web::text(document, "resource").ok_or("the metadata names no resource")?;
        // Section 3.3: metadata of another resource would lead its token here.
        if !covers(&Url::parse(resource).map_err(|_| "resource is not a URL")?, url) {
            return Err(format!("the metadata is of {resource}, another resource"));
        }
        Ok(Self {
            resource: resource.to_owned(),
            servers: web::list(document, "authorization_servers"),
            scopes: web::list(document, "scopes_supported"),
            client_id: web::text(document, "client_id").map(str::to_owned),
        })
    }
}

/// True if the URL is at the resource or below it.
fn covers(resource: &Url, url: &Url) -> bool {
    let (base, path) = (resource.path().trim_end_matches('/'), url.path());
    let rest = path.strip_prefix(base);
    resource.origin() == url.origin() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `resource_metadata` of a challenge. Our metadata URLs hold no quote.
fn metadata_of(challenge: &str) -> Option<String> {
    let (_, rest) = challenge.split_once("resource_metadata=\"")?;
    rest.split_once('"').map(|(url, _)| url.to_owned())
}

fn well_known(url: &Url) -> Vec<Url> {
    let at = |path: &str| {
        let mut place = url.clone();
        place.set_query(None);
        place.set_fragment(None);
        place.set_path(&format!("/.well-known/oauth-protected-resource{}", path.trim_end_matches('/')));
        place
    };
    let mut path = url.path().trim_end_matches('/');
    let mut places = vec![at(path)];
    // The resource may be any folder above.
    while let Some((above, _)) = path.rsplit_once('/') {
        places.push(at(above));
        path = above;
    }
    places
}

/// An authorization server (RFC 8414) with a flow for us.
#[derive(Debug)]
pub struct Server {
    /// Its name.
    pub issuer: String,
    /// Where tokens come from.
    pub token_endpoint: Url,
    /// Where the browser goes.
    pub authorization_endpoint: Option<Url>,
    /// Where the device flow begins.
    pub device_authorization_endpoint: Option<Url>,
    /// It names itself in authorization responses (RFC 9207).
    pub sends_issuer: bool,
}

impl Server {
    /// The first server of the resource that has a flow for us, or the one that the user names.
    pub fn find(resource: &Resource, wanted: Option<&str>) -> Result<Self, String> {
        let mut problem = "none is named".to_owned();
        let names = resource.servers.iter().filter(|name| wanted.is_none_or(|wanted| wanted == *name));
        for issuer in names {
            for place in places(issuer)? {
                match web::document(&place).and_then(|document| Self::read(issuer, &document)) {
                    Ok(server) => return Ok(server),
                    Err(why) => problem = why,
                }
            }
        }
        Err(format!("{} has no usable authorization server: {problem}", resource.resource))
    }

    fn read(issuer: &str, document: &Map<String, Value>) -> Result<Self, String> {
        // RFC 8414 section 3.3: a document of another server could mix tokens up.
        if web::text(document, "issuer") != Some(issuer) {
            return Err(format!("the metadata at {issuer} is of another issuer"));
        }
        let endpoint = |name: &str| web::text(document, name).map(web::url).transpose();
        let server = Self {
            issuer: issuer.to_owned(),
            token_endpoint: endpoint("token_endpoint")?.ok_or(format!("{issuer} has no token endpoint"))?,
            authorization_endpoint: endpoint("authorization_endpoint")?,
            device_authorization_endpoint: endpoint("device_authorization_endpoint")?,
            sends_issuer: document.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
        };
        match (&server.authorization_endpoint, &server.device_authorization_endpoint) {
            (None, None) => Err(format!("{issuer} has neither a device flow nor an authorization endpoint")),
            _ => Ok(server),
        }
    }
}

/// Where the metadata of an issuer may stand (RFC 8414 section 3.1, OpenID Connect Discovery section 4).
fn places(issuer: &str) -> Result<Vec<Url>, String> {
    let url = web::url(issuer)?;
    let base = url.path().trim_end_matches('/').to_owned();
    let at = |path: String| {
        let mut place = url.clone();
        place.set_path(&path);
        place
    };
    Ok(vec![
        at(format!("{base}/.well-known/openid-configuration")),
        at(format!("/.well-known/oauth-authorization-server{base}")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_of_another_resource_does_not_count() {
        let covers =
            |resource: &str, url: &str| covers(&Url::parse(resource).unwrap(), &Url::parse(url).unwrap());
        assert!(
            covers("https://app.test/mcp", "https://app.test/mcp/x")
                && covers("https://app.test", "https://app.test/x")
        );
        assert!(
            covers("https://app.test/mcp", "https://app.test/mcp")
                && covers("https://app.test/mcp/", "https://app.test/mcp")
        );
        assert!(
            !covers("https://app.test/mcp", "https://app.test/mcpx")
                && !covers("https://evil.test/mcp", "https://app.test/mcp")
        );
        assert!(
            !covers("http://app.test/mcp", "https://app.test/mcp")
                && !covers("https://app.test/mcp/x", "https://app.test/mcp")
        );
    }

    #[test]
    fn the_challenge_names_the_metadata() {
        let challenge =
            "Bearer realm=\"sso\", resource_metadata=\"https://app.test/.well-known/x\", scope=\"a\"";
        assert_eq!(metadata_of(challenge).as_deref(), Some("https://app.test/.well-known/x"));
        assert_eq!(metadata_of("Bearer realm=\"sso\""), None);
    }

    #[test]
    fn metadata_is_looked_for_at_the_path_and_above() {
        let places: Vec<String> =
            well_known(&Url::parse("https://app.test/a/b/?q").unwrap()).iter().map(Url::to_string).collect();
        let base = "https://app.test/.well-known/oauth-protected-resource";
        assert_eq!(places, [format!("{base}/a/b"), format!("{base}/a"), base.to_owned()]);
    }
}
