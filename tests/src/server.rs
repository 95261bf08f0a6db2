//! The local AWS as a process: started on a free port, stopped by its own pid.

use std::fs::{File, create_dir_all};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::config::{Credentials, Region};
use headroom_aws::clients::{Clients, http_client};
use headroom_aws::meter::Meter;

use crate::{Result, root, tool};

/// The account and region that everything here lives in.
pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "us-east-1";
/// Starting takes two seconds on a quiet machine.
const START_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// How the local AWS is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long waits and retries of state machines take: 1 as long as in AWS, 0 no time at all.
    pub wait_scale: f64,
    /// Faults can be injected into what functions ask of AWS.
    pub faults: bool,
}

/// A running local AWS. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    processes: Vec<Child>,
    /// Where it listens.
    pub endpoint: String,
    /// Where faults are injected, if they can be.
    pub faults: Option<String>,
    /// Where it keeps its logs and temporary files.
    pub folder: PathBuf,
    /// Clients to it.
    pub clients: Clients,
}

impl Server {
    /// Starts a local AWS that keeps its files in `folder`, and waits until it answers.
    ///
    /// # Errors
    /// When a tool is missing or it does not come up; the error names the log to read.
    pub async fn start(folder: &Path, options: Options) -> Result<Server> {
        create_dir_all(folder)?;
        let (port, fault_port) = (free_port()?, free_port()?);
        let endpoint = format!("http://{}:{port}", Ipv4Addr::LOCALHOST);
        let faults = options.faults.then(|| format!("http://{}:{fault_port}", Ipv4Addr::LOCALHOST));
        let mut processes = vec![serve(folder, port, faults.as_deref().unwrap_or(&endpoint), options)?];
        if options.faults {
            processes.push(inject(folder, &endpoint, fault_port)?);
        }
        let clients = clients(&endpoint).await;
        let mut server = Server { processes, endpoint, faults, folder: folder.to_owned(), clients };
        server.wait().await?;
        Ok(server)
    }

    async fn wait(&mut self) -> Result<()> {
        for _ in 0..START_MAX.as_millis() / POLL.as_millis() {
            for process in &mut self.processes {
                if let Some(status) = process.try_wait()? {
                    return Err(format!(
                        "the local AWS ended at once ({status}); see {}",
                        self.folder.display()
                    )
                    .into());
                }
            }
            let asked = self.clients.dynamodb.list_tables().send().await;
            let faults_up = match &self.faults {
                Some(url) => headroom_up(url).await,
                None => true,
            };
            if asked.is_ok() && faults_up {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err(format!("the local AWS does not answer; see {}", self.folder.display()).into())
    }

    /// The variables that point any AWS tool to it.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_PAGER", String::new()),
        ]
    }

    /// Stops it. Its own pids only.
    pub fn stop(&mut self) {
        for process in &mut self.processes {
            // One that has ended already cannot be killed, which is as good.
            let _ = process.kill();
            let _ = process.wait();
        }
        self.processes.clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The functions inherit the server's whole environment, so it gets nothing but what it needs.
fn serve(folder: &Path, port: u16, functions_endpoint: &str, options: Options) -> Result<Child> {
    let script = root().join("tests/local-aws/serve.py");
    let mut command = Command::new(tool("python"));
    command
        .arg(script)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .env("BIND_HOST", Ipv4Addr::LOCALHOST.to_string())
        .env("MINISTACK_HOST", Ipv4Addr::LOCALHOST.to_string())
        .env("GATEWAY_PORT", port.to_string())
        .env("MINISTACK_ACCOUNT_ID", ACCOUNT)
        .env("MINISTACK_REGION", REGION)
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        .env("LOG_LEVEL", "WARNING")
        .env("AWS_ENDPOINT_URL", functions_endpoint)
        .env("SFN_WAIT_SCALE", options.wait_scale.to_string());
    spawn(&mut command, &folder.join("local-aws.log"))
}

fn inject(folder: &Path, upstream: &str, port: u16) -> Result<Child> {
    let mut command = Command::new(tool("microburst"));
    let host = Ipv4Addr::LOCALHOST.to_string();
    command.args(["--upstream", upstream, "--host", &host, "--port", &port.to_string()]).current_dir(folder);
    spawn(&mut command, &folder.join("faults.log"))
}

fn spawn(command: &mut Command, log: &Path) -> Result<Child> {
    let output = File::create(log)?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let program = command.get_program().to_string_lossy().into_owned();
    command.spawn().map_err(|error| format!("cannot start {program}: {error}; `make` sets it up").into())
}

async fn headroom_up(url: &str) -> bool {
    let address = url.trim_start_matches("http://").to_owned();
    tokio::net::TcpStream::connect(address).await.is_ok()
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

async fn clients(endpoint: &str) -> Clients {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "local"))
        .endpoint_url(endpoint)
        .load()
        .await;
    Clients::new(&config, Meter::default())
}
