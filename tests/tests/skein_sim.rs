//! The program `skein-sim` as a user runs it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use k8s_openapi::api::core::v1::Node;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};

/// Ends the program when a test fails half way.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn it_serves_its_clusters_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("kubeconfig");
    let mut command = Command::new(env!("CARGO_BIN_EXE_skein-sim"));
    command.args([
        "--clusters",
        "3",
        "--nodes",
        "2",
        "--cpu",
        "8",
        "--kubernetes-version",
        "1.33.1",
    ]);
    command
        .arg("--kubeconfig-out")
        .arg(&file)
        .stdout(Stdio::piped());
    let mut program = Program(command.spawn().expect("it starts"));
    let output = BufReader::new(program.0.stdout.take().expect("its output"));
    let lines: Vec<String> = output
        .lines()
        .take(3)
        .collect::<Result<_, _>>()
        .expect("three lines");
    assert!(
        lines[0].starts_with("sim-1\thttp://127.0.0.1:"),
        "{lines:?}"
    );
    assert!(lines[2].starts_with("sim-3\t"), "{lines:?}");

    let kubeconfig = Kubeconfig::read_from(&file).expect("a kubeconfig");
    assert_eq!(kubeconfig.current_context.as_deref(), Some("sim-1"));
    for number in 1..=3 {
        let options = KubeConfigOptions {
            context: Some(format!("sim-{number}")),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_custom_kubeconfig(kubeconfig.clone(), &options)
            .await
            .expect("a context");
        let client = Client::try_from(config).expect("a client");
        assert_eq!(
            client
                .apiserver_version()
                .await
                .expect("a version")
                .git_version,
            "v1.33.1"
        );
        let nodes: Api<Node> = Api::all(client);
        let nodes = nodes.list(&Default::default()).await.expect("nodes").items;
        let names: Vec<String> = nodes.iter().map(ResourceExt::name_any).collect();
        assert_eq!(
            names,
            [
                format!("sim-{number}-node-1"),
                format!("sim-{number}-node-2")
            ]
        );
        let capacity = nodes[0]
            .status
            .as_ref()
            .and_then(|status| status.capacity.as_ref())
            .expect("a capacity");
        assert_eq!(capacity["cpu"].0, "8");
    }

    let id = program.0.id().to_string();
    let told = Command::new("kill")
        .args(["-TERM", &id])
        .status()
        .expect("kill");
    assert!(told.success());
    assert!(
        program.0.wait().expect("it ends").success(),
        "a clean end is a success"
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (arguments, why) in [
        (&["--clusters", "0"][..], "0 is not in 1..=1000"),
        (&["--error-rate", "2"], "not a number from 0 to 1"),
        (
            &["--clusters", "9", "--port", "65530"],
            "the ports do not fit below 65536",
        ),
        (
            &["--kubeconfig-out", "/nonexistent/folder/file"],
            "cannot write /nonexistent/folder/file",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_skein-sim"))
            .args(arguments)
            .output()
            .expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && told.contains(why),
            "{arguments:?}: {told}"
        );
    }
}
