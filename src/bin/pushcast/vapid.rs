//! `pushcast vapid`: makes, shows and converts VAPID keys in the forms that other libraries use.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use pushcast::config::read_key;
use serde_json::json;
use webpush::VapidKey;

use crate::output::{complain, create_private, say};

/// Make, show and convert VAPID keys.
///
/// The private key signs messages: keep it secret. The public key goes into pages, as applicationServerKey. When you
/// replace a key, keep the old one in PUSHCAST_VAPID_KEYS, after the new one, for the browsers that subscribed with it.
#[derive(Debug, Subcommand)]
pub(crate) enum Vapid {
    /// Make a new key. The private key goes to --out, or to the standard output.
    Generate(Written),
    /// Show the public key and the id of a key.
    Show {
        #[command(flatten)]
        key: Given,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Write a key in another form.
    Convert {
        #[command(flatten)]
        key: Given,
        #[command(flatten)]
        written: Written,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Given {
    /// A file with the private key, the key itself, or - for the standard input. PEM (PKCS#8 or SEC1), DER, raw
    /// base64url, or JSON, as pywebpush, node web-push, OpenSSL and pushcast write them.
    // PEM begins with a hyphen, and base64url may. Taken for an option, the key would appear in clap's error message.
    #[arg(allow_hyphen_values = true)]
    key: String,
}

#[derive(Debug, Args)]
pub(crate) struct Written {
    /// The form to write.
    #[arg(long, visible_alias = "to", value_enum, default_value_t = Form::Pem)]
    form: Form,
    /// A new file, readable by you alone. An existing file is not overwritten.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// PKCS#8 PEM: BEGIN PRIVATE KEY. PUSHCAST_VAPID_KEYS and pywebpush read it.
    Pem,
    /// SEC1 PEM: BEGIN EC PRIVATE KEY. openssl ecparam writes it.
    Sec1,
    /// PKCS#8 DER, binary.
    Der,
    /// The bare private number as base64url. node web-push reads it.
    Raw,
    /// Public and private key as JSON. node web-push generate-vapid-keys --json writes it.
    Json,
}

impl Vapid {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Generate(written) => {
                let key = VapidKey::generate()?;
                written.write(&key)?;
                if written.out.is_some() {
                    complain(format_args!("public key: {}", key.public_base64url()));
                }
                Ok(())
            }
            Self::Show { key, json } => {
                let key = key.read()?;
                let (public, id) = (key.public_base64url(), key.id());
                if json {
                    say(json!({"publicKey": public, "id": id.as_str()}))?;
                } else {
                    say(format_args!("publicKey  {public}"))?;
                    say(format_args!("id         {}", id.as_str()))?;
                }
                Ok(())
            }
            Self::Convert { key, written } => written.write(&key.read()?),
        }
    }
}

impl Given {
    fn read(&self) -> Result<VapidKey> {
        if self.key == "-" {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .context("the standard input")?;
            return VapidKey::parse(&bytes).map_err(|error| anyhow!("the standard input {error}"));
        }
        // The message must not repeat the text, which may be a key.
        let named = if Path::new(&self.key).exists() {
            self.key.as_str()
        } else {
            "what was given"
        };
        read_key(&self.key).map_err(|error| anyhow!("{named} {error}"))
    }
}

impl Written {
    fn write(&self, key: &VapidKey) -> Result<()> {
        let bytes = match self.form {
            Form::Pem => key.to_pkcs8_pem().into_bytes(),
            Form::Sec1 => key.to_sec1_pem().into_bytes(),
            Form::Der => key.to_pkcs8_der(),
            Form::Raw => format!("{}\n", key.to_raw_base64url()).into_bytes(),
            Form::Json => {
                let (public, private) = (key.public_base64url(), key.to_raw_base64url());
                format!("{}\n", json!({"publicKey": public, "privateKey": private})).into_bytes()
            }
        };
        match &self.out {
            Some(path) => create_private(path)?
                .write_all(&bytes)
                .context("the key cannot be written")?,
            None => {
                let mut out = std::io::stdout().lock();
                out.write_all(&bytes)?;
                // Bytes without an end of line stay in the buffer until the program ends, which would hide a write
                // error.
                out.flush()?;
            }
        }
        Ok(())
    }
}
