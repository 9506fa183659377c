//! Embeds the console's built files (wasm, script, style sheet) in the binary, compressed, so that it needs no checkout when it runs.

use std::{env, fs, path::PathBuf};

fn main() {
    // Where cargo-leptos puts them (`site-root` in the workspace's manifest). Before the first `make build` there are none: the console then
    // works as it does without a script, and without a style.
    let manifest_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let site = manifest_dir.join("../target/site");
    fs::create_dir_all(&site).expect("the folder of the console's built files can be made");
    // By a path of the package's own: memory-serve names an absolute one, which in a copied checkout is still the original's.
    println!("cargo::rerun-if-changed=../target/site");
    memory_serve::load_directory(site);
}
