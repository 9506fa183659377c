//! Started as root, farebox becomes somebody else before it opens a port. Run as anybody else, these tests have nothing to look at.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use nix::{
    sys::signal::Signal,
    unistd::{User, geteuid},
};

use crate::farebox::Place;

fn is_root() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        println!("skipped: not run as root");
    }
    is_root
}

#[test]
fn root_is_given_up_and_the_ready_file_is_written_all_the_same() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    // A folder that only root can look into: for the ready file, and to be started in.
    let closed = place.folder().join("closed");
    fs::create_dir(&closed).expect("a folder");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let mut command = place.command(&["serve", "--only", "proxy", "--proxy-addr", "127.0.0.1:0", "--run-as", "nobody"]);
    command.current_dir(&closed).args(["--ready-file", "ready.json"]);
    let process = crate::farebox::Process::start(command);
    process.wait_for_line(|line| line.contains("Farebox is ready"));

    let nobody = User::from_name("nobody").expect("users are known").expect("nobody exists");
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).expect("it runs");
    let ids =
        |name: &str| status.lines().find(|line| line.starts_with(name)).map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>());
    assert_eq!(ids("Uid:"), Some(vec![nobody.uid.to_string().as_str(); 4]));
    assert_eq!(ids("Gid:"), Some(vec![nobody.gid.to_string().as_str(); 4]));
    assert_eq!(ids("Groups:"), Some(vec![nobody.gid.to_string().as_str()]));
    let data = fs::metadata(place.data()).expect("the data folder");
    assert_eq!((data.uid(), data.mode() & 0o777), (nobody.uid.as_raw(), 0o700));

    let ready_file = closed.join("ready.json");
    let ready: serde_json::Value = serde_json::from_slice(&fs::read(&ready_file).expect("the ready file")).expect("JSON");
    assert!(ready["proxy_url"].is_string());
    assert_eq!(fs::metadata(&ready_file).expect("the ready file").mode() & 0o777, 0o600);
    assert!(process.stop(Signal::SIGTERM).success());
    assert!(place.is_quiet());
}

#[test]
fn a_folder_that_is_not_fareboxs_own_is_not_handed_over() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.data()).expect("a folder");
    fs::write(place.data().join("letters.txt"), "mine").expect("a file");
    let (code, said) = place.refusal(&["migrate"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("is not a farebox data folder"), "{said}");
    assert_eq!(fs::metadata(place.data().join("letters.txt")).expect("still there").uid(), 0);
}
