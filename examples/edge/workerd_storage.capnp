# WEIGHTS_URL=http://…/alexnet.int8.safetensors workerd serve dist/edge/workerd_storage.capnp
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "classifier", worker = .classifier),
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = "http", address = "127.0.0.1:8080", http = (), service = "classifier")],
);

const classifier :Workerd.Worker = (
  compatibilityDate = "2025-07-01",
  modules = [
    (name = "cloudflare_storage.js", esModule = embed "cloudflare_storage.js"),
    (name = "relaxed.wasm", wasm = embed "relaxed.wasm"),
    (name = "mozjpeg_dec.wasm", wasm = embed "mozjpeg_dec.wasm"),
    (name = "webp_dec.wasm", wasm = embed "webp_dec.wasm"),
  ],
  bindings = [(name = "WEIGHTS_URL", fromEnvironment = "WEIGHTS_URL")],
);
