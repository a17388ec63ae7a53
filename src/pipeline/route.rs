//! Routes: which path belongs to which vendor, tenant and mode.

use std::sync::Arc;

use http::Method;

use crate::types::{Label, Mode};
use crate::vendor::{Dialect, DialectId, Operation, resolve};

/// A checked route.
pub struct Route {
    /// Its name in records and metrics.
    pub name: Arc<str>,
    /// Path prefix without a trailing slash; stripped before the rest is appended to the vendor's URL.
    pub path: String,
    /// Vendor id.
    pub vendor: Arc<str>,
    /// Whose keys seal its records, and whose tokens are accepted.
    pub tenant: Arc<str>,
    /// Enforce or observe.
    pub mode: Mode,
    /// Floor label of clean text.
    pub label: Label,
    /// Retention preset name.
    pub retention: Arc<str>,
    /// Days of that preset.
    pub retention_days: u32,
    /// Risk class set by the operator (`high`, `limited`, `minimal`, `unassessed`).
    pub risk: Arc<str>,
    /// Dialects in order of preference.
    pub dialects: Vec<DialectId>,
    /// The vendor's credential is the caller's own: ours travels in `sealgate-authorization`.
    pub caller_credential: bool,
}

impl Route {
    /// The first dialect that knows the operation, else the first with `unknown`.
    pub(super) fn operation(&self, method: &Method, rest: &str) -> (&'static dyn Dialect, Operation) {
        resolve(&self.dialects, method, rest)
    }
}

/// Every route, longest path first.
pub struct Routes {
    routes: Vec<Arc<Route>>,
}

impl Routes {
    /// Orders the routes; `config` has checked that paths differ.
    pub fn new(mut routes: Vec<Route>) -> Self {
        routes.sort_by_key(|route| std::cmp::Reverse(route.path.len()));
        Routes { routes: routes.into_iter().map(Arc::new).collect() }
    }

    /// The route a path belongs to, and the rest of the path (empty or beginning with `/`).
    pub(super) fn find<'p>(&self, path: &'p str) -> Option<(Arc<Route>, &'p str)> {
        self.routes.iter().find_map(|route| {
            let rest = path.strip_prefix(route.path.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| (route.clone(), rest))
        })
    }
}
