//! The command that measures packages: it sees what it should see, and fails where a limit is passed.

use std::fs::{create_dir_all, write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use local_aws::{root, tool};

/// A function that asks for work after so many seconds and keeps so many bytes that no compression makes smaller.
fn function(name: &str, after_s: f64, bytes: usize) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("packages-{name}"));
    create_dir_all(folder.join(name)).unwrap();
    let bootstrap = folder.join(name).join("bootstrap");
    let ask = format!(
        "#!/bin/bash\nsleep {after_s}\nexec 3<>/dev/tcp/${{AWS_LAMBDA_RUNTIME_API/:/\\/}}\n\
         printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\n\\r\\n' >&3\nexec sleep 60\n"
    );
    let mut state = 1_u32;
    let random = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    write(&bootstrap, ask.into_bytes().into_iter().chain(random.take(bytes)).collect::<Vec<u8>>()).unwrap();
    let mut permissions = std::fs::metadata(&bootstrap).unwrap().permissions();
    permissions.set_mode(0o755);
    std::fs::set_permissions(&bootstrap, permissions).unwrap();
    folder
}

/// Whether the command succeeds, and what it says.
fn measured(folder: &Path) -> (bool, String) {
    let script = root().join("tests/packages.py");
    let output = Command::new(tool("python")).arg(script).arg(folder).args(["--runs", "3"]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn a_package_that_is_too_large_or_slow_to_start_is_told() {
    let (succeeds, said) = measured(&function("slow", 0.2, 1_000));
    assert!(!succeeds && said.contains("above the limit: slow takes 2"), "{said}");
    let (succeeds, said) = measured(&function("large", 0.0, 5_100_000));
    assert!(!succeeds && said.contains("above the limit: large has 5.1"), "{said}");
    let (_, said) = measured(&function("small", 0.0, 1_000_000));
    assert!(said.contains("small") && said.contains("1.00 MB") && !said.contains("small has"), "{said}");
}
