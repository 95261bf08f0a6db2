//! The local AWS as a process: started on a free port, stopped by its own pid.

use std::fs::{File, create_dir_all};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::config::{Credentials, Region};
use headroom_aws::meter::Meter;
use headroom_aws::sdk::{Aws, http_client};

use crate::{Result, root, tool};

/// The account and region that everything here lives in.
pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "us-east-1";
/// Starting takes two seconds on a quiet machine.
const START_MAX: Duration = Duration::from_secs(60);
/// It has nothing to save.
const STOP_MAX: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(100);

/// How the local AWS is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long waits and retries of state machines take: 1 as long as in AWS, 0 no time at all.
    pub wait_scale: f64,
    /// Faults can be injected into what functions ask of AWS.
    pub faults: bool,
    /// How many seconds a table's update, an instance's and a task's start take, unless a test asks for others
    /// ([`Server::unkind`]); 0 is at once.
    pub pace: f64,
}

/// A running local AWS. Dropping it stops it; so does the end of this process, however it ends.
#[derive(Debug)]
pub struct Server {
    process: Option<Child>,
    /// Where it listens.
    pub endpoint: String,
    /// Where faults are injected, if they can be.
    pub faults: Option<String>,
    /// Where it keeps its logs and temporary files.
    pub folder: PathBuf,
    /// The account in it, for the runtime that started it.
    pub aws: Aws,
}

impl Server {
    /// Starts a local AWS that keeps its files in `folder`, and waits until it answers.
    ///
    /// # Errors
    /// When a tool is missing or it does not come up; the error names the log to read.
    pub async fn start(folder: &Path, options: Options) -> Result<Server> {
        create_dir_all(folder)?;
        let (port, faults_port) = (free_port()?, free_port()?);
        let endpoint = format!("http://{}:{port}", Ipv4Addr::LOCALHOST);
        let faults = options.faults.then(|| format!("http://{}:{faults_port}", Ipv4Addr::LOCALHOST));
        let process = serve(folder, port, faults.as_ref().map(|_| faults_port), options)?;
        let aws = connect(&endpoint).await;
        let mut server = Server { process: Some(process), endpoint, faults, folder: folder.to_owned(), aws };
        server.wait().await?;
        Ok(server)
    }

    /// The account in it, for another runtime: connections belong to the runtime that made them.
    pub async fn connect(&self) -> Aws {
        connect(&self.endpoint).await
    }

    async fn wait(&mut self) -> Result<()> {
        for _ in 0..START_MAX.as_millis() / POLL.as_millis() {
            if let Some(status) = self.process.as_mut().map(Child::try_wait).transpose()?.flatten() {
                let folder = self.folder.display();
                return Err(format!("the local AWS ended at once ({status}); see {folder}").into());
            }
            let asked = self.aws.dynamodb().list_tables().send().await;
            let faults_up = match &self.faults {
                Some(url) => answers(url).await,
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

    /// Stops it, by its own pid: politely, so that it can stop what it started, then for good.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let asked = Command::new("kill").args(["-TERM", &process.id().to_string()]).status();
        let polls = if asked.is_ok() { STOP_MAX.as_millis() / POLL.as_millis() } else { 0 };
        for _ in 0..polls {
            if matches!(process.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(POLL);
        }
        // One that has ended meanwhile cannot be killed, which is as good.
        let _ = process.kill();
        let _ = process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The functions inherit the server's whole environment, so it gets nothing but what it needs.
fn serve(folder: &Path, port: u16, faults: Option<u16>, options: Options) -> Result<Child> {
    let loopback = Ipv4Addr::LOCALHOST.to_string();
    let mut command = Command::new(tool("python"));
    command
        .arg(root().join("tests/local-aws/serve.py"))
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder)
        .env("TMPDIR", folder)
        // The limit of an account that was raised, whatever memory this machine has: all shops reserve from it.
        .env("LAMBDA_ACCOUNT_CONCURRENCY", "10000")
        .env("BIND_HOST", &loopback)
        .env("MINISTACK_HOST", &loopback)
        .env("GATEWAY_PORT", port.to_string())
        .env("MINISTACK_ACCOUNT_ID", ACCOUNT)
        .env("MINISTACK_REGION", REGION)
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        .env("LOG_LEVEL", "WARNING")
        // Functions ask where faults can be injected; everybody else asks directly.
        .env("AWS_ENDPOINT_URL", format!("http://{loopback}:{}", faults.unwrap_or(port)))
        .env("SFN_WAIT_SCALE", options.wait_scale.to_string())
        .env("LOCAL_AWS_PACE", options.pace.to_string());
    if let Some(faults) = faults {
        command.env("FAULTS_PORT", faults.to_string());
    }
    spawn(&mut command, &folder.join("local-aws.log"))
}

fn spawn(command: &mut Command, log: &Path) -> Result<Child> {
    let output = File::create(log)?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let program = command.get_program().to_string_lossy().into_owned();
    command.spawn().map_err(|error| format!("cannot start {program}: {error}; `make` sets it up").into())
}

async fn answers(url: &str) -> bool {
    let address = url.trim_start_matches("http://").to_owned();
    tokio::net::TcpStream::connect(address).await.is_ok()
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

async fn connect(endpoint: &str) -> Aws {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "local"))
        .endpoint_url(endpoint)
        .load()
        .await;
    Aws::new(config, Meter::default())
}
