//! Copies the ready-made RocksDB beside the binaries, where the rpath `$ORIGIN:$ORIGIN/..` finds it: binaries
//! lie in `target/<profile>`, tests in `target/<profile>/deps`, examples in `target/<profile>/examples`.
//! Without `ROCKSDB_LIB_DIR` the vendored RocksDB is linked statically and there is nothing to copy.
use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=ROCKSDB_LIB_DIR");
    println!("cargo::rerun-if-changed=build.rs");
    let Some(lib) = env::var_os("ROCKSDB_LIB_DIR").map(|dir| PathBuf::from(dir).join("librocksdb.so")) else { return };
    println!("cargo::rerun-if-changed={}", lib.display());
    if !lib.exists() {
        println!("cargo::warning={} is missing; `make deps` puts it in place", lib.display());
        return;
    }
    // OUT_DIR is target/<profile>/build/store-<hash>/out.
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let Some(profile) = out.ancestors().nth(3) else { return };
    // A new file renamed into place: a running program keeps the library it has mapped.
    let (new, to) = (profile.join(format!("librocksdb.so.{}", std::process::id())), profile.join("librocksdb.so"));
    if let Err(e) = fs::copy(&lib, &new).and_then(|_| fs::rename(&new, &to)) {
        println!("cargo::warning=could not copy {} to {}: {e}", lib.display(), to.display());
    }
}
