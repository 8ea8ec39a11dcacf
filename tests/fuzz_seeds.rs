//! Every file of `fuzz/seeds` through the function that the fuzzer calls for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test as a whole

#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;

#[test]
fn what_the_fuzzer_starts_with_holds() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let mut broken = Vec::new();
    for (target, run) in targets::ALL {
        let files = fs::read_dir(seeds.join(target)).unwrap_or_else(|e| panic!("no seeds for {target}: {e}"));
        let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert!(files.len() >= 10, "{target} has {} seeds", files.len());
        for file in files {
            let bytes = fs::read(&file).unwrap();
            if catch_unwind(AssertUnwindSafe(|| run(&bytes))).is_err() {
                broken.push(file);
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_target_is_built_and_has_seeds() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let names = |folder: &str| {
        let files = fs::read_dir(fuzz.join(folder)).unwrap();
        let mut names: Vec<_> =
            files.map(|f| f.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let all: Vec<_> = targets::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), all);
    assert_eq!(names("seeds"), all);
    assert!(all.iter().all(|name| manifest.contains(&format!("name = \"{name}\""))));
}
