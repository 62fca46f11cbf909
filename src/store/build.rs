//! Copies the ready-made RocksDB beside the binaries, where the rpath `$ORIGIN` finds it.
use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=ROCKSDB_LIB_DIR");
    let Some(lib) = env::var_os("ROCKSDB_LIB_DIR").map(|dir| PathBuf::from(dir).join("librocksdb.so")) else { return };
    println!("cargo::rerun-if-changed={}", lib.display());
    // OUT_DIR is target/<profile>/build/store-<hash>/out.
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    if let (true, Some(profile)) = (lib.exists(), out.ancestors().nth(3)) {
        let to = profile.join("librocksdb.so");
        let _ = fs::remove_file(&to);
        if let Err(e) = fs::copy(&lib, &to) {
            println!("cargo::warning=could not copy {} to {}: {e}", lib.display(), to.display());
        }
    }
}
