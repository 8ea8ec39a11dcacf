//! How the pages look, by the configuration: name, logo, colour, language and texts.

use std::collections::BTreeMap;

/// Text values by name.
pub type Params = BTreeMap<String, String>;

/// How the filter's own pages look.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Look {
    pub name: Option<String>,
    pub logo: Option<String>,
    pub accent: Option<String>,
    pub contact: Option<String>,
    pub language: Option<String>,
    pub texts: Params,
    pub translations: BTreeMap<String, Params>,
}
