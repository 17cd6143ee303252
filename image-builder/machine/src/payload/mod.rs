//! Payloads: what guests can begin with by a name. Each is a file of a Debian package, fetched once by apt's own client
//! and kept; what the manifest's project pins is the digest of the package, and of what is made of it.

mod debian;
mod repack;

use std::{
    fs, iter,
    path::{Path, PathBuf},
};

use image_compiler::{
    Inputs, PAYLOADS, Package, Payload, Purpose,
    diagnostic::Span,
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

pub use debian::DebianDisk;

/// The first process of a guest that begins with busybox.
const INIT: &[u8] = include_bytes!("init.sh");
/// Linux's numbers of the device `/dev/console`.
const CONSOLE: Content = Content::CharacterDevice(5, 1);

/// Which file of a package is wanted.
enum Wanted<'a> {
    /// The first whose path begins so.
    Begins(&'a str),
    /// The first whose path ends so.
    Ends(&'a str),
}

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
        let taken = |package: &Package, wanted: &[Wanted<'_>]| {
            step.now(&format!("{} {}", package.name.value, package.version));
            self.take(payload, package, line(package.name.span), wanted)
        };
        let package = &payload.package;
        let file = taken(package, &[Wanted::Begins(&payload.file)])?.remove(0);
        let mut beside = Vec::new();
        for extra in &payload.with {
            let wanted: Vec<_> = extra.files.iter().map(|(_, file)| Wanted::Ends(file)).collect();
            let paths = extra.files.iter().map(|(path, _)| path.value.clone());
            beside.extend(paths.zip(taken(&extra.package, &wanted)?.into_iter().map(Content::File)));
        }
        let bytes = make(payload, file, beside)?;
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
        step.done(&origin(payload));
        Ok(bytes)
    }

    /// The wanted files of a package, which is fetched.
    fn take(
        &self,
        payload: &Payload,
        package: &Package,
        line: usize,
        wanted: &[Wanted<'_>],
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let folder = tempfile::tempdir_in(&self.folder)
            .map_err(|error| Failure::file("cannot write in", &self.folder, &error))?;
        let path = folder.path().join("package.deb");
        self.download(payload, package, &path, line)?;
        let mut found = vec![None; wanted.len()];
        package::for_each_file(&path, self.interrupts, &mut |path, content| {
            let path = path.trim_start_matches("./");
            let mut places = wanted.iter().zip(&mut found);
            if let Some((_, place)) = places.find(|(wanted, place)| place.is_none() && wanted.is(path)) {
                content.read_to_end(place.insert(Vec::new()))?;
            }
            Ok(())
        })?;
        let files = wanted.iter().zip(found);
        files
            .map(|(wanted, file)| file.ok_or_else(|| package::unreadable(&path, &wanted.missing())))
            .collect()
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

impl Wanted<'_> {
    /// Whether it is the file with this path.
    fn is(&self, path: &str) -> bool {
        match self {
            Self::Begins(beginning) => path.starts_with(beginning),
            Self::Ends(end) => path.ends_with(end),
        }
    }

    fn missing(&self) -> String {
        match self {
            Self::Begins(beginning) => format!("it has no file {beginning}"),
            Self::Ends(end) => format!("it has no file that ends with {end}"),
        }
    }
}

/// What a payload is made of, for people: each package with its version and digest, and the digest of what is made of it.
#[must_use]
pub fn origin(payload: &Payload) -> String {
    let packages = iter::once(&payload.package).chain(payload.with.iter().map(|extra| &extra.package));
    let packages = packages.map(|package| {
        format!("{} {} (SHA-256 {})", package.name.value, package.version, hex(&package.digest))
    });
    let packages = packages.collect::<Vec<_>>().join(", ");
    format!("of {packages}: SHA-256 {}", hex(&payload.digest.value))
}

/// Where the archive has a package: the epoch of a version is not in the file's name.
fn address(package: &Package) -> String {
    let Package { name, version, archive, .. } = package;
    let version = version.split_once(':').map_or(version.as_str(), |(_, rest)| rest);
    let file = format!("{}_{version}_amd64.deb", name.value).replace('+', "%2b");
    format!("{archive}/{file}")
}

/// What a guest begins with, of a package's file.
fn make(payload: &Payload, file: Vec<u8>, beside: Vec<(String, Content)>) -> Result<Vec<u8>, Failure> {
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
            files.extend(beside);
            let files: Vec<_> =
                files.iter().map(|(path, content)| (path.as_str(), content.clone())).collect();
            initramfs::archive(&files, &["disk", "proc", "sys", "tmp"])
                .map_err(|error| Failure::machine("cannot make the initramfs", &error))
        }
    }
}
