//! The console's files, inside the binary.

use app::server::Assets;
use axum::Router;
use memory_serve::CacheControl;

/// The router that serves them, and the names they are asked for by. A file's name holds a hash of its contents, so it never changes.
pub(crate) fn files() -> (Router, Assets) {
    let files = memory_serve::load!().index_file(None).cache_control(CacheControl::Long).enable_brotli(true).enable_gzip(true);
    let manifest = files.manifest();
    let named = |extension: &str| {
        let mut routes: Vec<_> = manifest.iter().map(|(route, _)| route).filter(|route| is_ours(route, extension)).collect();
        routes.sort_unstable();
        routes.first().map(ToString::to_string)
    };
    let assets = Assets { css: named("css"), js: named("js"), wasm: named("wasm") };
    (files.into_router(), assets)
}

/// `/pkg/farebox.<hash>.<extension>`; snippets that wasm-bindgen puts into folders of their own are loaded by the script itself.
fn is_ours(route: &str, extension: &str) -> bool {
    let rest = route.strip_prefix("/pkg/farebox.").and_then(|rest| rest.rsplit_once('.'));
    rest.is_some_and(|(hash, end)| end == extension && !hash.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_whatever_its_hash() {
        assert!(is_ours("/pkg/farebox.B1xa0.js", "js"));
        for other in ["/pkg/farebox.B1xa0.wasm", "/pkg/snippets/farebox.js", "/pkg/farebox.js", "/pkg/farebox.x/y.js"] {
            assert!(!is_ours(other, "js"), "{other}");
        }
    }
}
