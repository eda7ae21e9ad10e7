//! A PostgreSQL server.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::missing;
use crate::process::{Guarded, find, free_port, listens, own_user, run, wait_until};

/// A PostgreSQL server on a port of its own, durable as it comes: `fsync` and `synchronous_commit`
/// are on.
#[derive(Debug)]
pub struct Postgres {
    programs: Programs,
    user: Option<(u32, u32)>,
    port: u16,
    schemas: AtomicU64,
    child: Option<Child>,
    guarded: Guarded,
}

#[derive(Debug)]
struct Programs {
    initdb: PathBuf,
    postgres: PathBuf,
    psql: PathBuf,
}

/// A program that comes with PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostgresProgram {
    /// The server.
    Server,
    /// What measures one.
    Pgbench,
}

impl PostgresProgram {
    /// Where it is; `None` where it is not installed.
    pub fn path(self) -> Option<PathBuf> {
        match self {
            Self::Server => Programs::find().map(|programs| programs.postgres),
            Self::Pgbench => find("pgbench", &installed()),
        }
    }
}

/// The one server of this process, started when it is first asked for; `None` where PostgreSQL is
/// not installed. Each caller takes a [`Postgres::schema`] of its own.
pub fn shared_postgres() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    let server = SERVER.get_or_init(Postgres::start).as_ref();
    if server.is_none() {
        missing("PostgreSQL");
    }
    server
}

impl Postgres {
    /// Makes a new cluster and starts it; `None`, with a word on standard error, where PostgreSQL is
    /// not installed.
    ///
    /// # Panics
    /// If it does not start, or is not installed and `KEYROOM_REQUIRE=1`.
    pub fn start() -> Option<Self> {
        let Some(programs) = Programs::find() else {
            missing("PostgreSQL");
            return None;
        };
        let guarded = Guarded::new("data/postmaster.pid");
        let user = unprivileged(guarded.folder());
        let mut server = Self { programs, user, port: free_port(), schemas: AtomicU64::new(0), child: None, guarded };
        let data = server.data();
        let mut initdb = server.command(&server.programs.initdb);
        // The cluster itself need not survive a loss of power: the tests begin after it is there.
        initdb.args(["--no-sync", "--auth=trust", "--username=keyroom", "--encoding=UTF8", "--locale=C", "-D"]);
        run(initdb.arg(data));
        server.restart();
        Some(server)
    }

    /// The address of the whole database.
    pub fn url(&self) -> String {
        format!("postgres://keyroom@127.0.0.1:{}/postgres", self.port)
    }

    /// What it has written into its log.
    ///
    /// # Panics
    /// If that cannot be read.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.guarded.folder().join("log")).unwrap()).into_owned()
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server and all processes that belong to it now.
    pub fn processes(&self) -> Vec<u32> {
        let server = self.child.as_ref().map(Child::id);
        let family = server.into_iter().flat_map(children).filter_map(|process| process.parse().ok());
        server.into_iter().chain(family).collect()
    }

    /// The address of a new and empty schema, which stands for a database of its own.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn schema(&self) -> String {
        let name = format!("schema{}", self.schemas.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE SCHEMA {name}"));
        format!("{}?options=-csearch_path%3D{name}", self.url())
    }

    /// Runs SQL as the owner of everything, and returns what it yields without any ornament.
    ///
    /// # Panics
    /// If it fails.
    pub fn execute(&self, sql: &str) -> String {
        self.execute_at(&self.url(), sql)
    }

    /// Runs SQL at an address that [`schema`](Self::schema) gave.
    ///
    /// # Panics
    /// If it fails.
    pub fn execute_at(&self, url: &str, sql: &str) -> String {
        let mut psql = Command::new(&self.programs.psql);
        run(psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1"]).args([
            "--dbname",
            url,
            "--command",
            sql,
        ]))
        .trim()
        .to_owned()
    }

    /// Has it speak TLS, with a certificate and its private key, both PEM. The addresses stay; whoever
    /// wants TLS says so with `sslmode`.
    ///
    /// # Panics
    /// If the server does not take them.
    pub fn encrypt(&self, certificate: &str, key: &str) {
        for (name, content) in [("server.crt", certificate), ("server.key", key)] {
            let path = self.data().join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            if let Some((uid, gid)) = self.user {
                chown(&path, Some(uid), Some(gid)).unwrap();
            }
        }
        let loaded = || self.execute("SELECT pg_conf_load_time()");
        let before = loaded();
        self.execute("ALTER SYSTEM SET ssl = on");
        self.execute("SELECT pg_reload_conf()");
        wait_until("PostgreSQL speaks TLS", || (loaded() != before && self.execute("SHOW ssl") == "on").then_some(()));
    }

    /// Ends the server and its whole family without a warning.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let family = children(child.id());
            child.kill().unwrap();
            child.wait().unwrap();
            if !family.is_empty() {
                // Some may be gone by now.
                let _ = Command::new("kill").arg("-KILL").args(&family).stderr(Stdio::null()).status();
            }
        }
    }

    /// Kills it, if it runs, and starts it again on the same port.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.kill();
        // What the last of the family held is freed a moment after its end; until then a new server
        // refuses to start.
        let child = wait_until("PostgreSQL starts", || {
            let mut child = self.spawn();
            listens(self.port, &mut child).then_some(child)
        });
        self.child = Some(child);
        wait_until("PostgreSQL answers", || self.answers().then_some(()));
    }

    fn spawn(&self) -> Child {
        let folder = self.guarded.folder();
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let mut command = self.command(&self.programs.postgres);
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(folder)
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "max_connections=300", "-c", "shared_buffers=64MB"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command.spawn().unwrap()
    }

    fn answers(&self) -> bool {
        let mut psql = Command::new(&self.programs.psql);
        let asked = psql.args(["--no-psqlrc", "--dbname", &self.url(), "--command", "SELECT 1"]);
        asked.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    }

    fn data(&self) -> PathBuf {
        self.guarded.folder().join("data")
    }

    /// A command as the user that PostgreSQL runs under.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command.current_dir(self.guarded.folder());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Programs {
    fn find() -> Option<Self> {
        let folders = installed();
        Some(Self {
            initdb: find("initdb", &folders)?,
            postgres: find("postgres", &folders)?,
            psql: find("psql", &folders)?,
        })
    }
}

/// Where Debian keeps the programs, the newest version first.
fn installed() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders
}

/// PostgreSQL refuses to run as root: then it runs as `postgres` or `nobody`, who gets the folder.
fn unprivileged(folder: &Path) -> Option<(u32, u32)> {
    if own_user(folder) != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let named = fields.next() == Some(name);
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            named.then_some((uid, gid))
        })
    };
    let (uid, gid) = find("postgres").or_else(|| find("nobody")).expect("a user who is not root");
    chown(folder, Some(uid), Some(gid)).unwrap();
    Some((uid, gid))
}

/// The processes whose parent this is.
fn children(parent: u32) -> Vec<String> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let is_child = |path: PathBuf| {
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        // After the name, which may hold anything, come the state and the parent.
        let of = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()?;
        (of == parent).then(|| path.file_name().map(|name| name.to_string_lossy().into_owned()))?
    };
    processes.flatten().filter_map(|entry| is_child(entry.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_is_there_after_a_kill_and_each_schema_stands_alone() {
        let Some(mut server) = Postgres::start() else { return };
        assert_eq!(server.execute("SHOW fsync"), "on");
        assert_eq!(server.execute("SHOW synchronous_commit"), "on");
        let (one, two) = (server.schema(), server.schema());
        server.execute_at(&one, "CREATE TABLE things (id int); INSERT INTO things VALUES (7)");
        server.execute_at(&two, "CREATE TABLE things (id int)");
        server.kill();
        server.restart();
        assert_eq!(server.execute_at(&one, "SELECT id FROM things"), "7");
        assert_eq!(server.execute_at(&two, "SELECT count(*) FROM things"), "0");
    }

    #[test]
    fn nothing_is_left_when_it_is_dropped() {
        let Some(server) = Postgres::start() else { return };
        let (folder, id) = (server.guarded.folder().to_owned(), server.child.as_ref().unwrap().id());
        drop(server);
        assert!(!folder.exists());
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }
}
