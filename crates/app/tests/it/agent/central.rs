//! A central server as users of Resolvix write it, with Flask. It checks every key, type and unit of what it gets, and misbehaves
//! when told to.

use std::process::{Command, Stdio};

use serde_json::Value;
use taffrail_testkit::{Client, Program};

use crate::program::{eventually, python_or_skip};
use crate::streams::port;

const SERVER: &str = r#"
import sys, time, os
from flask import Flask, request, jsonify, Response
app = Flask(__name__)
logs, samples, complaints, faults = [], [], [], []

LOG = {"timestamp": str, "system_ip": str, "log_path": str, "application": str, "log_line": str, "severity": str}
SAMPLE = {
    "cpu": {"cpu_usage_percent": float, "cpu_per_core_percent": [float], "load_avg_1min": float,
            "load_avg_5min": float, "load_avg_15min": float, "cpu_count_logical": int},
    "memory": {"memory_total_gb": float, "memory_used_gb": float, "memory_available_gb": float,
               "memory_usage_percent": float, "swap_total_gb": float, "swap_used_gb": float, "swap_usage_percent": float},
    "disk": {"disk_usage": {"/": {"total_gb": float, "used_gb": float, "free_gb": float, "usage_percent": float}},
             "disk_io": {"read_mb_per_sec": float, "write_mb_per_sec": float, "read_count": int, "write_count": int}},
    "network": {"bytes_sent_mb_per_sec": float, "bytes_recv_mb_per_sec": float, "packets_sent": int,
                "packets_recv": int, "errors_in": int, "errors_out": int, "drops_in": int, "drops_out": int,
                "active_connections": int},
    "processes": {"process_count": int, "top_memory_processes": [{"pid": int, "name": str, "memory_percent": float}]},
}

def check(what, value, path):
    if isinstance(what, dict):
        for key, inner in what.items():
            if not isinstance(value, dict) or key not in value:
                complaints.append(f"{path}.{key} is missing")
            else:
                check(inner, value[key], f"{path}.{key}")
    elif isinstance(what, list):
        if not isinstance(value, list) or not value:
            complaints.append(f"{path} is no list")
        for inner in value:
            check(what[0], inner, f"{path}[]")
    elif type(value) is not what:
        complaints.append(f"{path} is {type(value).__name__}, not {what.__name__}")
    elif what is float and round(value, 2) != value:
        complaints.append(f"{path} has more than two decimals")

def near(ours, theirs, path):
    if abs(ours - theirs) > max(0.02 * theirs, 0.02):
        complaints.append(f"{path} is {ours}, not {theirs}")

@app.before_request
def misbehave():
    if request.method != "POST" or request.path.startswith("/test/") or not faults:
        return
    fault = faults.pop(0)
    if fault == "hang":
        time.sleep(1)
        return "too late", 503
    if fault == "500":
        return "Traceback (most recent call last): ...", 500
    if fault == "429":
        return Response("slow down", 429, {"Retry-After": "1"})
    if fault == "html":
        return "<!DOCTYPE html><html><body>Please log in</body></html>"

@app.post("/logs")
def take_log():
    log = request.get_json()
    check(LOG, log, "log")
    logs.append(log)
    return "ok"

@app.post("/telemetry")
def take_sample():
    sample = request.get_json()
    check({"timestamp": str, "node_id": str, "metrics": SAMPLE}, sample, "sample")
    metrics = sample["metrics"]
    root = os.statvfs("/")
    near(metrics["disk"]["disk_usage"]["/"]["total_gb"], root.f_blocks * root.f_frsize / 1024**3, "total_gb")
    total = int(next(line for line in open("/proc/meminfo") if line.startswith("MemTotal")).split()[1])
    near(metrics["memory"]["memory_total_gb"], total / 1024**2, "memory_total_gb")
    if not 0 <= metrics["cpu"]["cpu_usage_percent"] <= 100:
        complaints.append("cpu_usage_percent is no percentage")
    samples.append(sample)
    return jsonify(status="received")

@app.get("/test/seen")
def seen():
    return jsonify(logs=logs, samples=samples, complaints=complaints)

@app.post("/test/faults")
def set_faults():
    faults[:] = [word for word in request.get_data(as_text=True).split(",") if word != "none"]
    return "ok"

app.run(port=int(sys.argv[1]), threaded=True)
"#;

/// The server, ended when dropped.
pub(super) struct Central {
    _program: Program,
    port: u16,
}

impl Central {
    /// `None` where there is no Python for it, which is said.
    pub(super) fn start(test: &str) -> Option<Self> {
        let python = python_or_skip(test)?;
        let port = port();
        let mut command = Command::new(python);
        command.args(["-c", SERVER, &port.to_string()]);
        let program = Program::start(command.stdout(Stdio::null()).stderr(Stdio::null())).unwrap();
        let central = Self { _program: program, port };
        eventually("the central server", || central.client().get("/test/seen").is_ok());
        Some(central)
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn client(&self) -> Client {
        Client::new(([127, 0, 0, 1], self.port).into())
    }

    fn seen(&self, what: &str) -> Vec<Value> {
        let seen = self.client().get("/test/seen").unwrap().json().unwrap();
        seen[what].as_array().unwrap().clone()
    }

    pub(super) fn logs(&self) -> Vec<Value> {
        self.seen("logs")
    }

    pub(super) fn samples(&self) -> Vec<Value> {
        self.seen("samples")
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        self.seen("complaints").iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    /// The next posts are answered so, each word for one.
    pub(super) fn answer(&self, faults: &str) {
        self.client().post("/test/faults", "text/plain", faults.as_bytes()).unwrap();
    }
}
