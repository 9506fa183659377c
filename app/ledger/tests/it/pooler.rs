//! Behind PgBouncer: in session mode everything works, in transaction mode it is said at once that it would not.

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use chrono::Utc;
use ledger::{Address, Ledger, Login, Schema, Verification};
use sqlx::{AssertSqlSafe, Executor, PgPool};
use tokio::time::{interval, timeout};

const PASSWORD: &str = "hush";
const DEADLINE: Duration = Duration::from_secs(60);

/// A PgBouncer in front of the tests' PostgreSQL. It ends with its value.
struct Pooler {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Pooler {
    /// `None` where no PgBouncer is installed, which only a machine of one's own may lack.
    async fn start(pool: &PgPool, mode: &str, users: [(&str, &str); 2]) -> Option<Self> {
        if Command::new("pgbouncer").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(env::var_os("CI").is_none(), "PgBouncer is missing: make setup");
            println!("skipped: no PgBouncer is installed");
            return None;
        }
        let folder = env::temp_dir().join(format!("farebox-pooler-{mode}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.join("users"), users.map(|(name, password)| format!("\"{name}\" \"{password}\"\n")).concat()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options = pool.connect_options();
        let settings = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\npool_mode = {mode}\n",
            options.get_host(),
            options.get_port(),
            folder.join("users").display()
        );
        fs::write(folder.join("ini"), settings).unwrap();
        let mut command = Command::new("pgbouncer");
        // It does not run as root.
        if fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0) {
            command.args(["-u", "nobody"]);
        }
        let process = command.arg("-q").arg(folder.join("ini")).stderr(Stdio::null()).spawn().unwrap();
        let pooler = Self { process, folder, port };
        let listening = async {
            let mut ticks = interval(Duration::from_millis(20));
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                ticks.tick().await;
            }
        };
        timeout(DEADLINE, listening).await.expect("PgBouncer listens");
        Some(pooler)
    }

    fn url(&self, (user, password): (&str, &str), database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_pooler_of_sessions_will_do_and_one_of_transactions_is_refused(pool: PgPool) {
    let options = pool.connect_options();
    let database = options.get_database().unwrap().to_owned();
    let tests_url = env::var("DATABASE_URL").unwrap();
    let owner_password =
        tests_url.split_once("://").and_then(|(_, rest)| rest.split_once('@')?.0.split_once(':')).map_or("", |(_, password)| password);
    let owner = (options.get_username(), owner_password);
    let weak = format!("weak_{:.50}", database.trim_start_matches('_'));
    let application = (weak.as_str(), PASSWORD);
    pool.execute(AssertSqlSafe(format!("drop role if exists \"{weak}\""))).await.unwrap();
    pool.execute(AssertSqlSafe(format!("create role \"{weak}\" login password '{PASSWORD}'"))).await.unwrap();

    for (mode, fits) in [("session", true), ("transaction", false)] {
        let Some(pooler) = Pooler::start(&pool, mode, [owner, application]).await else { break };
        let address = Address::parse(&pooler.url(owner, &database)).unwrap();
        let login = Login::parse(&pooler.url(application, &database), &address).unwrap();
        if fits {
            Ledger::migrate(&address, Utc::now()).await.unwrap();
            Ledger::prepare_login(&address, &login).await.unwrap();
            assert_eq!(Ledger::schema(&address).await.unwrap(), Schema::Current);
            let ledger = Ledger::connect_patiently(&login, 4, DEADLINE);
            ledger.ready().await.unwrap();
            assert!(ledger.verify(&Verification::default(), |_| {}).await.unwrap().holds());
            ledger.close().await;
        } else {
            for said in [Ledger::schema(&address).await.unwrap_err(), Ledger::migrate(&address, Utc::now()).await.unwrap_err()] {
                assert!(said.to_string().contains("pool_mode = session"), "{said}");
            }
        }
    }
    pool.execute(AssertSqlSafe(format!("drop owned by \"{weak}\"; drop role \"{weak}\""))).await.unwrap();
}
