//! TLS, against a server with a certificate that was made for the test.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use ermine_core::{Error, ErrorKind, Result, ports::SchemaAdmin};
use ermine_postgres::Store;
use ermine_testkit::pg::{OwnServer, Settings};

use crate::common::{DEADLINE, registration};

/// A server that offers TLS as `localhost`, and two authorities, of which the first has signed that.
struct Scene {
    server: OwnServer,
    directory: PathBuf,
}

impl Scene {
    /// `None` where certificates cannot be made.
    async fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            println!("skipped: there is no openssl to make certificates with");
            return None;
        }
        let server = OwnServer::start(Settings { tcp: true, ..Settings::default() }).await;
        let directory = server.data_dir().join("certificates");
        std::fs::create_dir(&directory).unwrap();
        let it = Self { server, directory };
        it.certify();
        it.offer().await;
        Some(it)
    }

    fn certify(&self) {
        let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        for authority in ["right", "wrong"] {
            let names = format!("-subj /CN={authority} -keyout {authority}.key -out {authority}.pem");
            openssl(&self.directory, &format!("req -x509 {new_key} {names}"));
        }
        openssl(
            &self.directory,
            &format!("req {new_key} -subj /CN=server -keyout server.key -out server.csr"),
        );
        std::fs::write(self.directory.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
        let sign =
            "x509 -req -in server.csr -CA right.pem -CAkey right.key -CAcreateserial -days 2 -extfile names";
        openssl(&self.directory, &format!("{sign} -out server.pem"));
    }

    /// The server writes the files itself, because it takes only a key that nobody else may read.
    async fn offer(&self) {
        let sql = self.server.connect("postgres").await;
        for file in ["server.key", "server.pem"] {
            let text = std::fs::read_to_string(self.directory.join(file)).unwrap();
            let mut write = String::new();
            let lines = format!("unnest(string_to_array('{}', E'\\n'))", text.trim_end());
            write!(write, "copy (select {lines}) to program 'umask 077; cat > {file}'").unwrap();
            sql.batch_execute(&write).await.unwrap();
            let setting = if file.ends_with("key") { "ssl_key_file" } else { "ssl_cert_file" };
            sql.batch_execute(&format!("alter system set {setting} = '{file}'")).await.unwrap();
        }
        sql.batch_execute("alter system set ssl = on").await.unwrap();
        sql.batch_execute("select pg_reload_conf()").await.unwrap();
        ermine_testkit::eventually(DEADLINE, || async {
            let row = self.server.connect("postgres").await.query_one("show ssl", &[]).await.unwrap();
            if row.get::<_, &str>(0) == "on" { Ok(()) } else { Err("TLS is off") }
        })
        .await;
    }

    /// Opens a store with these settings of the URL.
    async fn open(&self, host: &str, settings: &str) -> Result<Store> {
        let url = self.server.url("postgres").replace("127.0.0.1", host);
        Store::connect(format!("{url}?{settings}")).await
    }

    fn root(&self, authority: &str) -> String {
        format!("sslrootcert={}", self.directory.join(authority).with_extension("pem").display())
    }

    /// Whether the sessions of stores are encrypted, all of them or none.
    async fn encrypted(&self) -> bool {
        let sql = "select bool_and(ssl), bool_or(ssl) from pg_stat_ssl join pg_stat_activity using (pid) \
                   where application_name = 'ermine'";
        let row = self.server.connect("postgres").await.query_one(sql, &[]).await.unwrap();
        let [all, any] = [0, 1].map(|nth| row.get::<_, Option<bool>>(nth).unwrap());
        assert_eq!(all, any, "some of the sessions are encrypted and some are not");
        all
    }
}

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

fn refused_for_tls(answer: Result<Store>) -> Error {
    let error = answer.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Configuration, "{}", error.chain());
    assert!(error.chain().contains("TLS failed: see sslmode and sslrootcert"), "{}", error.chain());
    error
}

#[tokio::test]
async fn each_sslmode_trusts_whom_it_says() {
    let Some(it) = Scene::new().await else { return };
    let (right, wrong) = (it.root("right"), it.root("wrong"));
    for (host, settings, encrypted) in [
        ("127.0.0.1", "sslmode=disable", false),
        ("127.0.0.1", "sslmode=prefer", true),
        ("127.0.0.1", "sslmode=require", true),
        ("127.0.0.1", &format!("sslmode=verify-ca&{right}"), true),
        ("localhost", &format!("sslmode=verify-full&{right}"), true),
    ] {
        let store = it.open(host, settings).await.unwrap();
        store.migrate(&registration()).await.unwrap();
        assert_eq!(it.encrypted().await, encrypted, "{settings}");
        drop(store);
        ermine_testkit::eventually(DEADLINE, || async {
            let sql = "select from pg_stat_activity where application_name = 'ermine'";
            let left = it.server.connect("postgres").await.query(sql, &[]).await.unwrap();
            if left.is_empty() { Ok(()) } else { Err("sessions are left") }
        })
        .await;
    }
    refused_for_tls(it.open("127.0.0.1", &format!("sslmode=verify-ca&{wrong}")).await);
    let stranger = refused_for_tls(it.open("localhost", &format!("sslmode=verify-full&{wrong}")).await);
    assert!(stranger.chain().contains("UnknownIssuer"), "{}", stranger.chain());
    let misnamed = refused_for_tls(it.open("127.0.0.1", &format!("sslmode=verify-full&{right}")).await);
    assert!(misnamed.chain().contains("not valid for name"), "{}", misnamed.chain());
    let nowhere = it.open("localhost", "sslmode=verify-full&sslrootcert=/no/such.pem").await.unwrap_err();
    assert!(
        nowhere.to_string().contains("cannot read the certificates in sslrootcert=/no/such.pem"),
        "{nowhere}"
    );
}
