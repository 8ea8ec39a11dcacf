// `node --no-liftoff vm.mjs < plan.json`: nanoseconds that one request with a valid session costs inside the
// VM, with a host that does next to nothing. Unlike CPU inside Envoy this hardly depends on what else the
// machine does, so it shows a change of a few per cent; what the host calls cost is not in it.
//
// The plan: {"modules": {name: path}, "configuration", "environment", "headers": [[name, value]], "now", "rounds"}. With "updates", a
// list of configurations, it tells the milliseconds of each as a live update: in a new root context of the same VM.
import fs from "node:fs";

const plan = JSON.parse(fs.readFileSync(0));
const BATCH = 100;

/** A header map as proxy-wasm hands it over: count, lengths, then names and values, each with a NUL. */
function serialized(headers) {
  const texts = headers.flat().map((text) => Buffer.from(text, "latin1"));
  const lengths = new Uint32Array([headers.length, ...texts.map((text) => text.length)]);
  return Buffer.concat([Buffer.from(lengths.buffer), ...texts.flatMap((text) => [text, Buffer.of(0)])]);
}

class Vm {
  constructor(path) {
    const module = new WebAssembly.Module(fs.readFileSync(path));
    const imports = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) (imports[from] ??= {})[name] = () => 0;
    Object.assign(imports.env, this.host());
    this.configuration = Buffer.from(plan.configuration);
    if (imports.wasi_snapshot_preview1) Object.assign(imports.wasi_snapshot_preview1, this.wasi());
    this.exports = new WebAssembly.Instance(module, imports).exports;
    this.exports._initialize();
    this.exports.proxy_on_context_create(1, 0);
    this.exports.proxy_on_vm_start(1, 0);
    this.configure(1);
    this.next = 2;
  }

  configure(root) {
    if (!this.exports.proxy_on_configure(root, this.configuration.length)) throw new Error("the configuration was refused");
  }

  /** Takes a new configuration as Envoy brings it, and drops the root context before it; milliseconds. */
  update(text) {
    this.configuration = Buffer.from(text);
    const root = this.next++, before = this.root ?? 1, start = process.hrtime.bigint();
    this.exports.proxy_on_context_create(root, 0);
    this.configure(root);
    this.exports.proxy_on_done?.(before);
    this.exports.proxy_on_delete(before);
    this.root = root;
    return Number(process.hrtime.bigint() - start) / 1e6;
  }

  /** Its memory, which moves when it grows. */
  memory() {
    const { buffer } = this.exports.memory;
    if (this.bytes?.buffer !== buffer) [this.bytes, this.view] = [new Uint8Array(buffer), new DataView(buffer)];
    return this.view;
  }

  give(data, where, size) {
    const at = this.exports.proxy_on_memory_allocate(data.length);
    this.memory().setUint32(where, at, true);
    this.view.setUint32(size, data.length, true);
    this.bytes.set(data, at);
    return 0;
  }

  host() {
    const headers = serialized(plan.headers);
    const now = BigInt(plan.now) * 1000000n;
    return {
      proxy_get_header_map_pairs: (_, where, size) => this.give(headers, where, size),
      proxy_get_buffer_bytes: (_type, _start, _size, where, size) => this.give(this.configuration, where, size),
      proxy_get_current_time_nanoseconds: (where) => (this.memory().setBigUint64(where, now, true), 0),
      proxy_get_shared_data: () => 1, // not found
      proxy_add_header_map_value: () => (this.added++, 0),
      proxy_send_local_response: (status) => { throw new Error(`answered with ${status}: the session does not count`); },
    };
  }

  wasi() {
    const entries = Object.entries(plan.environment).map(([name, value]) => Buffer.from(`${name}=${value}\0`));
    return {
      environ_sizes_get: (count, size) => {
        this.memory().setUint32(count, entries.length, true);
        this.view.setUint32(size, Buffer.concat(entries).length, true);
        return 0;
      },
      environ_get: (pointers, at) => {
        this.memory();
        entries.forEach((entry, i) => {
          this.view.setUint32(pointers + 4 * i, at, true);
          this.bytes.set(entry, at);
          at += entry.length;
        });
        return 0;
      },
      random_get: (at, size) => (this.memory(), this.bytes.fill(7, at, at + size), 0),
    };
  }

  /** Requests as Envoy calls for them, which skips what is not exported; nanoseconds for each. */
  requests(count) {
    const vm = this.exports, start = process.hrtime.bigint();
    for (const end = this.next + count; this.next < end; this.next++) {
      vm.proxy_on_context_create(this.next, 1);
      vm.proxy_on_request_headers(this.next, plan.headers.length, 1);
      vm.proxy_on_response_headers(this.next, 3, 0);
      vm.proxy_on_response_body?.(this.next, 2, 1);
      vm.proxy_on_done?.(this.next);
      vm.proxy_on_log?.(this.next);
      vm.proxy_on_delete(this.next);
    }
    return Number(process.hrtime.bigint() - start) / count;
  }
}

const vms = Object.entries(plan.modules).map(([name, path]) => ({ name, vm: new Vm(path), times: [] }));
if (plan.updates) {
  console.log(JSON.stringify(Object.fromEntries(vms.map(({ name, vm }) => [name, plan.updates.map((text) => vm.update(text))]))));
  process.exit();
}
for (const { vm } of vms) vm.requests(20_000);
for (let round = 0; round < plan.rounds; round++) for (const { vm, times } of vms) times.push(vm.requests(BATCH));
const result = {};
for (const { name, vm, times } of vms) {
  vm.added = 0;
  vm.requests(1);
  // Near the least, but not the one lucky batch.
  result[name] = { ns: times.sort((a, b) => a - b)[Math.floor(times.length / 50)], headers_added: vm.added };
}
console.log(JSON.stringify(result));
