//! The folder of `pushcast serve`: database, VAPID key, API token, user secret. Only its owner may read it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use pushcast::aws::Aws;
use pushcast::clock::Chance;
use pushcast::config::Config;
use pushcast::store::Store;
use webpush::{VapidKey, base64url};

use crate::output::private;

/// Default data folder.
pub(crate) const DEFAULT: &str = "pushcast-data";

#[derive(Debug)]
pub(crate) struct DataFolder(PathBuf);

/// The lock that a server holds while it uses the folder.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl DataFolder {
    /// Opens the folder, and makes it if it does not exist.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(path)
            .with_context(|| format!("the data folder {} cannot be made", path.display()))?;
        let path = path.canonicalize();
        Ok(Self(path.context("the data folder cannot be found")?))
    }

    /// Absolute path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Opens the folder, which must hold a database.
    pub(crate) fn existing(path: &Path) -> Result<Self> {
        let folder = Self(path.to_owned());
        if !folder.database().is_file() {
            bail!(
                "there is no database in {}: run `pushcast serve` first, name its folder with --data, \
                 or set PUSHCAST_SUBSCRIPTIONS_TABLE and PUSHCAST_LEDGER_TABLE for DynamoDB",
                path.display()
            );
        }
        Ok(folder)
    }

    /// Locks the folder against a second server. The operating system releases the lock when the process ends or
    /// crashes.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let path = self.0.join("lock");
        let file = private(OpenOptions::new().write(true).create(true).truncate(false))
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        if file.try_lock().is_err() {
            bail!(
                "another `pushcast serve` works on {}: stop it, or give --data another folder",
                self.0.display()
            );
        }
        Ok(Lock { _file: file })
    }

    /// Opens the database.
    pub(crate) async fn store(&self) -> Result<Store> {
        let path = self.database();
        // SQLite gives its other files the permissions of this one.
        private(OpenOptions::new().write(true).create(true).truncate(false))
            .open(&path)
            .with_context(|| format!("the database {} cannot be made", path.display()))?;
        Ok(Store::open(Some(&path), Chance::system()).await?)
    }

    fn database(&self) -> PathBuf {
        self.0.join("pushcast.db")
    }

    /// Path of the VAPID key.
    pub(crate) fn vapid_file(&self) -> PathBuf {
        self.0.join("vapid.pem")
    }

    /// Path of the API token.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.0.join("token")
    }

    fn user_secret_file(&self) -> PathBuf {
        self.0.join("user-secret")
    }

    /// The VAPID key, made at the first start.
    pub(crate) fn vapid_key(&self) -> Result<VapidKey> {
        let path = self.vapid_file();
        let pem = read_or_make(&path, || Ok(VapidKey::generate()?.to_pkcs8_pem()))?;
        VapidKey::parse(pem.as_bytes()).with_context(|| path.display().to_string())
    }

    /// The API token, made at the first start.
    pub(crate) fn token(&self) -> Result<String> {
        read_or_make(&self.token_file(), random_text)
    }

    /// The API token that a server has made in the folder at `path`, if there is one.
    pub(crate) fn kept_token(path: &Path) -> Option<String> {
        let token = fs::read_to_string(Self(path.to_owned()).token_file()).ok()?;
        Some(token.trim().to_owned()).filter(|token| !token.is_empty())
    }

    /// The user secret, made at the first start.
    pub(crate) fn user_secret(&self) -> Result<String> {
        read_or_make(&self.user_secret_file(), random_text)
    }
}

/// Opens the tables that the environment names, or else the folder's database.
pub(crate) async fn open_store(config: &Config, data: &Path) -> Result<Store> {
    match &config.tables {
        Some(tables) => {
            let client = Aws::of_user().dynamodb().await?;
            Ok(Store::new(client, tables.clone(), Chance::system()))
        }
        None => DataFolder::existing(data)?.store().await,
    }
}

/// 256 random bits as base64url.
fn random_text() -> Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).context("the operating system gives no randomness")?;
    Ok(base64url::encode(bytes))
}

/// Reads a secret, or makes it. A new secret is written to a temporary file and renamed, so that a crash leaves either
/// no file or a complete one.
fn read_or_make(path: &Path, make: impl FnOnce() -> Result<String>) -> Result<String> {
    let name = || path.display().to_string();
    if path.exists() {
        let text = fs::read_to_string(path)
            .with_context(name)?
            .trim()
            .to_owned();
        if text.is_empty() {
            bail!(
                "{} is empty: put the secret there, or remove the file to have a new one made",
                name()
            );
        }
        return Ok(text);
    }
    let text = make()?;
    let unfinished = path.with_extension("new");
    let mut file = private(OpenOptions::new().write(true).create(true).truncate(true))
        .open(&unfinished)
        .with_context(name)?;
    file.write_all(format!("{}\n", text.trim_end()).as_bytes())
        .with_context(name)?;
    file.sync_all().with_context(name)?;
    fs::rename(&unfinished, path).with_context(name)?;
    Ok(text)
}
