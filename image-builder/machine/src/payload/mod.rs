//! Payloads: what guests can begin with by a name. Each is a file of a Debian package, fetched once by apt's own client
//! and kept; what the manifest's project pins is the digest of the package, and of what is made of it.

mod repack;

use std::{
    fs,
    path::{Path, PathBuf},
};

use image_compiler::{
    Inputs, Modules, PAYLOADS, Package, Payload, Purpose,
    diagnostic::{At, Span},
    digest::{digest, hex},
};

use crate::{
    Failure, disc,
    initramfs::{self, Content},
    interrupts::Interrupts,
    package, process,
    progress::Progress,
    tools,
};

/// The first process of a guest that begins with busybox.
const INIT: &[u8] = include_bytes!("init.sh");
/// Linux's numbers of the device `/dev/console`.
const CONSOLE: Content = Content::CharacterDevice(5, 1);

/// Where an initramfs has the modules that its first process loads.
const MODULES: &str = "modules";

/// Where payloads are kept, and who is told of their coming.
#[derive(Debug)]
pub struct Payloads<'a> {
    /// The folder.
    pub folder: PathBuf,
    /// What the user sees of it.
    pub progress: &'a Progress,
    /// What stops it.
    pub interrupts: &'a Interrupts,
}

impl Payloads<'_> {
    /// The same inputs with the payloads that are kept.
    #[must_use]
    pub fn kept(&self, inputs: Inputs) -> Inputs {
        let wanted: Vec<Payload> = inputs.payloads_wanted().cloned().collect();
        let kept = wanted.iter().filter_map(|payload| Some((&payload.name.value, self.find(payload)?)));
        kept.fold(inputs, |inputs, (name, bytes)| inputs.with_payload(name, bytes))
    }

    /// The same inputs with all payloads that they name: those that are not kept are fetched.
    ///
    /// # Errors
    ///
    /// When one cannot be fetched, or is another one than what is pinned.
    pub fn fetched(&self, inputs: Inputs) -> Result<Inputs, Failure> {
        let mut inputs = self.kept(inputs);
        let wanted: Vec<Payload> = inputs.payloads_wanted().cloned().collect();
        for payload in wanted {
            let bytes = self.fetch(&payload, |at| inputs.sources.position(at).0)?;
            inputs = inputs.with_payload(&payload.name.value, bytes);
        }
        Ok(inputs)
    }

    /// The bytes of a payload, if they are kept and are what is pinned.
    #[must_use]
    pub fn find(&self, payload: &Payload) -> Option<Vec<u8>> {
        let bytes = fs::read(self.path(payload)).ok()?;
        (digest(&bytes) == payload.digest.value).then_some(bytes)
    }

    /// Fetches a payload, whose digest is stated in this line of the file of payloads.
    fn fetch(&self, payload: &Payload, line: impl Fn(Span) -> usize) -> Result<Vec<u8>, Failure> {
        tools::require(tools::PAYLOAD, self.progress, self.interrupts)?;
        let step = self.progress.step(&format!("fetching {}", payload.name.value));
        fs::create_dir_all(&self.folder)
            .map_err(|error| Failure::file("cannot make", &self.folder, &error))?;
        let package = &payload.package;
        step.now(&format!("{} {}", package.name.value, package.version));
        let starts = |path: &str| path.starts_with(&payload.file);
        let missing = || format!("it has no file {}", payload.file);
        let file = self.take(payload, package, line(package.name.span), &starts, missing)?;
        let mut modules = Vec::new();
        if let Some(Modules { package, files }) = &payload.modules {
            step.now(&format!("{} {}", package.name.value, package.version));
            for At { value: name, .. } in files {
                let ends = |path: &str| path.ends_with(name);
                let missing = || format!("it has no file that ends with {name}");
                let module = self.take(payload, package, line(package.name.span), &ends, missing)?;
                modules.push((module_path(name), Content::File(module)));
            }
        }
        let bytes = make(payload, file, modules)?;
        let (found, pinned) = (hex(&digest(&bytes)), hex(&payload.digest.value));
        if found != pinned {
            let digest_line = line(payload.digest.span);
            return Err(Failure::Failed(format!(
                "the payload `{}` has the SHA-256 {found}, {PAYLOADS} states {pinned}\n\
                 if that is meant, because package or tool have changed: change it in line {digest_line}",
                payload.name.value
            )));
        }
        disc::write_file(&self.path(payload), &bytes)?;
        step.done(&format!("{} {}, SHA-256 {found}", package.name.value, package.version));
        Ok(bytes)
    }

    /// The first file of a package, which is fetched, that is wanted.
    fn take(
        &self,
        payload: &Payload,
        package: &Package,
        line: usize,
        wanted: &dyn Fn(&str) -> bool,
        missing: impl Fn() -> String,
    ) -> Result<Vec<u8>, Failure> {
        let folder = tempfile::tempdir_in(&self.folder)
            .map_err(|error| Failure::file("cannot write in", &self.folder, &error))?;
        let path = folder.path().join("package.deb");
        self.download(payload, package, &path, line)?;
        let mut found = None;
        package::for_each_file(&path, self.interrupts, &mut |path, content| {
            if found.is_none() && wanted(path.trim_start_matches("./")) {
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes)?;
                found = Some(bytes);
            }
            Ok(())
        })?;
        found.ok_or_else(|| package::unreadable(&path, &missing()))
    }

    /// Fetches a package by apt's client, which compares its digest.
    fn download(&self, payload: &Payload, package: &Package, to: &Path, line: usize) -> Result<(), Failure> {
        let mut command = process::command(Path::new(tools::APT_HELPER.name));
        command.env("LC_ALL", "C").args(["-o", "APT::Sandbox::User=", "download-file"]);
        command.arg(address(package)).arg(to).arg(format!("SHA256:{}", hex(&package.digest)));
        let finished = process::run(&mut command, "apt-helper", self.interrupts, &mut |_| ())?;
        if finished.status.success() && to.is_file() {
            return Ok(());
        }
        let complaints = finished.text.lines().filter(|line| line.starts_with("E: "));
        let complaint = complaints.map(|line| &line[3..]).next().unwrap_or_else(|| finished.complaint());
        Err(Failure::Environment(format!(
            "cannot fetch Debian's package {} {} for the payload `{}`: {complaint}\n\
             it needs a network once; if the archive has another version by now, change {PAYLOADS} from line {line} on",
            package.name.value, package.version, payload.name.value
        )))
    }

    fn path(&self, payload: &Payload) -> PathBuf {
        self.folder.join(hex(&payload.digest.value))
    }
}

/// Where the archive has a package: the epoch of a version is not in the file's name.
fn address(package: &Package) -> String {
    let Package { name, version, archive, .. } = package;
    let version = version.split_once(':').map_or(version.as_str(), |(_, rest)| rest);
    let file = format!("{}_{version}_amd64.deb", name.value).replace('+', "%2b");
    format!("{archive}/{file}")
}

/// Where the initramfs has a module.
fn module_path(file: &str) -> String {
    format!("{MODULES}/{}", file.rsplit('/').next().unwrap_or(file))
}

/// What a guest begins with, of a package's file.
fn make(payload: &Payload, file: Vec<u8>, modules: Vec<(String, Content)>) -> Result<Vec<u8>, Failure> {
    match payload.purpose {
        Purpose::Kernel => repack::as_lz4(file).map_err(|why| {
            Failure::Failed(format!(
                "the kernel of the payload `{}` cannot be packed again: {why}",
                payload.name.value
            ))
        }),
        Purpose::Initramfs => {
            let mut files = vec![
                ("dev/console".to_owned(), CONSOLE),
                ("bin/busybox".to_owned(), Content::File(file)),
                ("init".to_owned(), Content::File(INIT.to_vec())),
            ];
            files.extend(modules);
            let files: Vec<_> =
                files.iter().map(|(path, content)| (path.as_str(), content.clone())).collect();
            initramfs::archive(&files, &["proc", "root", "sys", "tmp"])
                .map_err(|error| Failure::machine("cannot make the initramfs", &error))
        }
    }
}
