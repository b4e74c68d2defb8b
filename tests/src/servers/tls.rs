//! A certificate authority for one test, and certificates that it signs.

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
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
[named]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:redis.test
[client]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
";

/// The openssl command for an EC key, in the format `BEGIN EC PRIVATE KEY`. Keys of other kinds are `BEGIN PRIVATE
/// KEY`.
pub(super) const EC: &str = "ecparam -name prime256v1 -genkey -noout";

/// Writes the authority's `ca.pem` into the folder, and two certificates with their keys: `server.pem`, valid for
/// 127.0.0.1 and localhost, and `named.pem`, valid for redis.test only.
pub(super) fn make_certificates(folder: &Path) {
    fs::write(folder.join("openssl.cnf"), CONFIG).expect("the configuration of openssl");
    openssl(
        folder,
        &[
            "ecparam -name prime256v1 -genkey -noout -out ca.key",
            "req -config openssl.cnf -x509 -extensions authority -days 2 -key ca.key -out ca.pem",
        ],
    );
    make_certificate(folder, "server", "server", EC);
    make_certificate(folder, "named", "named", EC);
}

/// Writes `NAME.pem` and `NAME.key` into the folder, by a section of the configuration.
pub(super) fn make_certificate(folder: &Path, name: &str, section: &str, key: &str) {
    openssl(
        folder,
        &[
            &format!("{key} -out {name}.key"),
            &format!(
                "req -config openssl.cnf -new -subj /CN=sessions-tests-{name} -key {name}.key -out {name}.csr"
            ),
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -set_serial 1 -days 2 \
                 -extfile openssl.cnf -extensions {section} -out {name}.pem"
            ),
        ],
    );
}

fn openssl(folder: &Path, commands: &[&str]) {
    for command in commands {
        let output = Command::new("openssl")
            .args(command.split_whitespace())
            .current_dir(folder)
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "openssl {command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
