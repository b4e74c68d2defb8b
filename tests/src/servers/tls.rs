//! A certificate authority of a test's own, and a certificate of it for 127.0.0.1 and localhost.

use std::{fs, path::Path, process::Command};

const CONFIG: &str = "\
[req]
distinguished_name = name
prompt = no
[name]
CN = sessions-tests
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
";

/// Writes `ca.pem`, `server.pem` and `server.key` into the folder.
pub(super) fn make_certificates(folder: &Path) {
    fs::write(folder.join("openssl.cnf"), CONFIG).expect("the configuration of openssl");
    for command in [
        "ecparam -name prime256v1 -genkey -noout -out ca.key",
        "ecparam -name prime256v1 -genkey -noout -out server.key",
        "req -config openssl.cnf -x509 -extensions authority -days 2 -key ca.key -out ca.pem",
        "req -config openssl.cnf -new -subj /CN=localhost -key server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 1 -days 2 \
         -extfile openssl.cnf -extensions server -out server.pem",
    ] {
        let output = Command::new("openssl")
            .args(command.split_whitespace())
            .current_dir(folder)
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "openssl {command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
