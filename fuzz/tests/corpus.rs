//! Replays every corpus through its target, with each input also cut at many lengths.

#[test]
fn corpora() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, target) in fuzz::TARGETS {
        let mut inputs = 0;
        for entry in std::fs::read_dir(root.join(name)).expect(name) {
            let path = entry.expect("entry").path();
            let data = std::fs::read(&path).expect("input");
            target(&data);
            for cut in (0..data.len()).step_by(data.len() / 50 + 1) {
                target(&data[..cut]);
            }
            inputs += 1;
        }
        assert!(inputs >= 4, "{name}: only {inputs} inputs");
    }
}
