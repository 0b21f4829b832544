//! A Hub of one's own: it lists a dataset, redirects to the files, states sizes and checksums, serves ranges, and misbehaves
//! on request.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How it misbehaves.
#[derive(Default)]
pub struct Mood {
    /// Every answer is this status.
    pub status: Option<u16>,
    /// Connections that break after so many bytes of a file.
    pub breaks: usize,
    pub break_after: usize,
    /// Bytes are not those that the checksum states.
    pub wrong_bytes: bool,
    /// Requests so far: method and path, and the range that was asked for.
    pub log: Vec<(String, String)>,
}

pub struct Server {
    pub url: String,
    pub mood: Arc<Mutex<Mood>>,
}

impl Server {
    /// Serves files of one dataset of any name.
    pub fn start(files: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mood = Arc::new(Mutex::new(Mood::default()));
        let shared = Arc::clone(&mood);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (files, mood) = (files.clone(), Arc::clone(&shared));
                std::thread::spawn(move || {
                    // A client that goes away is part of the tests.
                    let _ = serve(stream.unwrap(), &files, &mood);
                });
            }
        });
        Server { url, mood }
    }

    pub fn ranges(&self) -> Vec<String> {
        let mood = self.mood.lock().unwrap();
        mood.log.iter().filter(|(line, _)| line.contains("/cdn/")).map(|(_, range)| range.clone()).collect()
    }
}

fn serve(stream: TcpStream, files: &BTreeMap<String, Vec<u8>>, mood: &Mutex<Mood>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    loop {
        let (mut first, mut range) = (String::new(), String::new());
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("range: bytes=") {
                range = value.trim().to_string();
            }
        }
        let mut mood = mood.lock().unwrap();
        mood.log.push((first.trim().to_string(), range.clone()));
        if first.starts_with("CONNECT") {
            // As a proxy: whatever the other end is called, it is this server.
            write!(out, "HTTP/1.1 200 OK\r\n\r\n")?;
            continue;
        }
        let target = first.split(' ').nth(1).unwrap_or_default();
        let path = target.split_once("://").map_or(target, |(_, rest)| &rest[rest.find('/').unwrap_or(0)..]);
        if let Some(status) = mood.status {
            write!(out, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n")?;
        } else if path.starts_with("/api/datasets/") {
            let siblings: Vec<_> = files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
            let json = serde_json::json!({ "siblings": siblings, "sha": COMMIT }).to_string();
            write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{json}", json.len())?;
        } else if let Some((_, name)) = path.split_once(&format!("/resolve/{COMMIT}/")) {
            let sum: String = Sha256::digest(&files[name]).iter().map(|b| format!("{b:02x}")).collect();
            write!(
                out,
                "HTTP/1.1 302 Found\r\nX-Repo-Commit: {COMMIT}\r\nX-Linked-ETag: \"{sum}\"\r\nETag: \"x\"\r\nLocation: /cdn/{name}\r\nContent-Length: 0\r\n\r\n"
            )?;
        } else if let Some(name) = path.strip_prefix("/cdn/") {
            let mut bytes = files[name].clone();
            if mood.wrong_bytes {
                bytes[0] ^= 1;
            }
            let (start, end) = range.split_once('-').unwrap_or(("0", ""));
            let start: usize = start.parse().unwrap_or(0);
            let end = end.parse().map_or(bytes.len(), |end: usize| end + 1);
            if start >= bytes.len() {
                write!(out, "HTTP/1.1 416 Range\r\nContent-Length: 0\r\n\r\n")?;
                continue;
            }
            let sum: String = Sha256::digest(&files[name]).iter().map(|b| format!("{b:02x}")).collect();
            write!(
                out,
                "HTTP/1.1 206 Partial\r\nContent-Length: {}\r\nX-Repo-Commit: {COMMIT}\r\nETag: \"{sum}\"\r\nContent-Range: bytes {start}-{}/{}\r\n\r\n",
                end - start,
                end - 1,
                bytes.len()
            )?;
            if mood.breaks > 0 && end - start > mood.break_after {
                mood.breaks -= 1;
                out.write_all(&bytes[start..start + mood.break_after])?;
                return out.shutdown(std::net::Shutdown::Both);
            }
            out.write_all(&bytes[start..end])?;
        } else {
            write!(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
        }
    }
}
