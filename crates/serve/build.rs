//! Makes sure that the page's folder is there: without it the program could not be built alone.

use std::path::Path;

use fs_err as fs;

fn main() {
    let dist = Path::new("../../ui/dist");
    let page = dist.join("index.html");
    println!("cargo::rerun-if-changed={}", dist.display());
    if page.exists() {
        return;
    }
    let text =
        "<!doctype html><title>Taffrail</title><p>The UI was not built: run <code>make ui</code></p>\n";
    if let Err(error) = fs::create_dir_all(dist).and_then(|()| fs::write(&page, text)) {
        println!("cargo::error=the page's folder cannot be made: {error}");
    }
}
