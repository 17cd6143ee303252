//! Payloads out of an archive in a folder: apt's client fetches from there, too.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use image_compiler::{
    Inputs, Workspace,
    digest::{digest, hex},
};
use image_machine::{
    Failure,
    initramfs::{self, Content},
    interrupts::Interrupts,
    payload::{self, Payloads},
    progress::Progress,
};
use tempfile::TempDir;

/// A project whose manifest names a kernel and an initramfs, with the archive that they come from.
struct Project {
    folder: TempDir,
    /// Digests of the package and of the two payloads.
    digests: [String; 3],
    interrupts: Interrupts,
    progress: Progress,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/manifests/fixtures");
        fs::create_dir_all(root.join("manifests")).unwrap();
        fs::create_dir(root.join("image-builder")).unwrap();
        symlink(fixtures.join("domains"), root.join("domains")).unwrap();
        symlink(fixtures.join("manifests/platforms"), root.join("manifests/platforms")).unwrap();
        let kernel = fs::read(fixtures.join("files/kernel")).unwrap();
        let files: [(&str, &[u8]); 4] = [
            ("boot/vmlinuz-1", &kernel),
            ("bin/busybox", b"a program"),
            ("lib/other.so.1", b"another one"),
            ("usr/lib/deep/tool.so.1.2", b"what it is linked with"),
        ];
        let package = package(root, &files);
        let payloads = [digest(&kernel), digest(&initramfs())];
        let digests = [digest(&fs::read(package).unwrap()), payloads[0], payloads[1]].map(|one| hex(&one));
        let (interrupts, progress) = (Interrupts::none().unwrap(), Progress::silent());
        let project = Self { folder, digests, interrupts, progress };
        project.pin(&project.digests, "1:1+x");
        let manifest = "[system]\nname = \"x\"\nplatform = \"machine\"\n[domain.x]\ncomponent = \"linux\"\nmemory_mib = 16\n";
        let text = format!("{manifest}kernel = \"big\"\ninitramfs = \"small\"\n");
        fs::write(project.folder.path().join("manifests/x.toml"), text).unwrap();
        project
    }

    /// Writes the file of payloads.
    fn pin(&self, [package, kernel, initramfs]: &[String; 3], version: &str) {
        let entry = |purpose: &str, name: &str, file: &str, digest: &str| {
            let archive = self.folder.path().display();
            format!(
                "[{purpose}.{name}]\npackage = \"payload\"\nversion = \"{version}\"\narchive = \"file:{archive}\"\n\
                 package_sha256 = \"{package}\"\nfile = \"{file}\"\nsha256 = \"{digest}\"\n"
            )
        };
        let text = entry("kernel", "big", "boot/vmlinuz-", kernel)
            + &entry("initramfs", "small", "bin/busybox", initramfs)
            + &entry("initramfs", "small.with", "", "").replace("file = \"\"\nsha256 = \"\"", BESIDE);
        fs::write(self.folder.path().join("image-builder/payloads.toml"), text).unwrap();
    }

    fn fetched(&self) -> Result<Inputs, Failure> {
        let workspace = Workspace { root: self.folder.path().to_owned() };
        let inputs = Inputs::read(&workspace, &self.folder.path().join("manifests/x.toml"));
        self.payloads().fetched(inputs)
    }

    fn payloads(&self) -> Payloads<'_> {
        let folder = self.folder.path().join("kept");
        Payloads { folder, progress: &self.progress, interrupts: &self.interrupts }
    }

    fn kept(&self, digest: &str) -> PathBuf {
        self.folder.path().join("kept").join(digest)
    }
}

/// A Debian package of these files, in the folder of an archive.
fn package(archive: &Path, files: &[(&str, &[u8])]) -> PathBuf {
    let tree = archive.join("tree");
    for (path, content) in files {
        fs::create_dir_all(tree.join(path).parent().unwrap()).unwrap();
        fs::write(tree.join(path), content).unwrap();
    }
    fs::create_dir(tree.join("DEBIAN")).unwrap();
    let control =
        "Package: payload\nVersion: 1:1+x\nArchitecture: amd64\nMaintainer: nobody\nDescription: none\n";
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    let package = archive.join("payload_1+x_amd64.deb");
    let built = Command::new("dpkg-deb").arg("--build").arg(&tree).arg(&package).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    package
}

/// What goes into the initramfs beside the program.
const BESIDE: &str = "files = { \"lib/tool.so\" = \"/tool.so.1.2\", \"modules/first.ko\" = \"other.so.1\" }";

/// What is made of the package's program.
fn initramfs() -> Vec<u8> {
    let files = [
        ("dev/console", Content::CharacterDevice(5, 1)),
        ("bin/busybox", Content::File(b"a program".to_vec())),
        ("init", Content::File(include_bytes!("../src/payload/init.sh").to_vec())),
        ("lib/tool.so", Content::File(b"what it is linked with".to_vec())),
        ("modules/first.ko", Content::File(b"another one".to_vec())),
    ];
    initramfs::archive(&files, &["disk", "proc", "sys", "tmp"]).unwrap()
}

#[test]
fn what_is_fetched_once_is_kept() {
    let project = Project::new();
    let inputs = project.fetched().unwrap();
    assert_eq!(inputs.payloads_wanted().count(), 0);
    assert_eq!(**inputs.guest_files["small"].bytes().unwrap(), initramfs());
    assert!(image_compiler::resolve(&inputs).is_ok(), "the kernel is one that starts");
    fs::remove_file(project.folder.path().join("payload_1+x_amd64.deb")).unwrap();
    assert_eq!(project.fetched().unwrap().payloads_wanted().count(), 0, "without the archive");
}

#[test]
fn what_a_payload_is_made_of_is_said_with_each_digest() {
    let project = Project::new();
    let workspace = Workspace { root: project.folder.path().to_owned() };
    let inputs = Inputs::read(&workspace, &project.folder.path().join("manifests/x.toml"));
    let mut said: Vec<String> = inputs.payloads_wanted().map(payload::origin).collect();
    said.sort();
    let [package, kernel, initramfs] = &project.digests;
    let one = format!("payload 1:1+x (SHA-256 {package})");
    let mut expected =
        [format!("of {one}: SHA-256 {kernel}"), format!("of {one}, {one}: SHA-256 {initramfs}")];
    expected.sort();
    assert_eq!(said, expected);
}

#[test]
fn what_is_kept_and_damaged_is_fetched_again() {
    let project = Project::new();
    project.fetched().unwrap();
    let path = project.kept(&project.digests[1]);
    let kernel = fs::read(&path).unwrap();
    fs::write(&path, &kernel[1..]).unwrap();
    assert_eq!(**project.fetched().unwrap().guest_files["big"].bytes().unwrap(), kernel);
    assert_eq!(fs::read(&path).unwrap(), kernel);
}

#[test]
fn a_payload_that_is_another_one_is_refused_with_its_digest_and_the_line() {
    let project = Project::new();
    let [package, kernel, _] = project.digests.clone();
    project.pin(&[package, kernel, "0".repeat(64)], "1:1+x");
    let failure = project.fetched().unwrap_err();
    assert_eq!(failure.status(), 1);
    let (text, found) = (failure.to_string(), &project.digests[2]);
    let first =
        format!("the payload `small` has the SHA-256 {found}, image-builder/payloads.toml states 0000");
    assert!(text.starts_with(&first), "{text}");
    assert!(text.ends_with("change it in line 14"), "{text}");
    assert!(!project.kept(&"0".repeat(64)).exists());
}

#[test]
fn a_package_that_is_another_one_is_not_used() {
    let project = Project::new();
    let [_, kernel, initramfs] = project.digests.clone();
    project.pin(&["1".repeat(64), kernel.clone(), initramfs], "1:1+x");
    let failure = project.fetched().unwrap_err().to_string();
    let expected = "cannot fetch Debian's package payload 1:1+x for the payload `big`: ";
    assert!(failure.starts_with(expected) && failure.contains("Hash Sum mismatch"), "{failure}");
    assert!(!project.kept(&kernel).exists());
}

#[test]
fn a_package_that_the_archive_does_not_have_is_told_with_the_line_to_change() {
    let project = Project::new();
    project.pin(&project.digests, "2");
    let failure = project.fetched().unwrap_err();
    assert_eq!(failure.status(), 3);
    let text = failure.to_string();
    assert!(text.starts_with("cannot fetch Debian's package payload 2 for the payload `big`: "), "{text}");
    assert!(text.contains("payload_2_amd64.deb"), "{text}");
    assert!(text.ends_with("change image-builder/payloads.toml from line 2 on"), "{text}");
}

#[test]
fn a_file_that_the_package_does_not_have_is_named() {
    let missing = [
        ("boot/vmlinuz-", "boot/other-", "it has no file boot/other-"),
        ("/tool.so.1.2", "/tool.so.1.3", "it has no file that ends with /tool.so.1.3"),
    ];
    for (there, named, complaint) in missing {
        let project = Project::new();
        let path = project.folder.path().join("image-builder/payloads.toml");
        let text = fs::read_to_string(&path).unwrap().replace(there, named);
        fs::write(path, text).unwrap();
        let failure = project.fetched().unwrap_err().to_string();
        assert!(failure.ends_with(complaint), "{failure}");
    }
}
