# workerd serve dist/edge/workerd.capnp
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "classifier", worker = .classifier)],
  sockets = [(name = "http", address = "127.0.0.1:8080", http = (), service = "classifier")],
);

const classifier :Workerd.Worker = (
  compatibilityDate = "2024-01-01",
  modules = [
    (name = "cloudflare.js", esModule = embed "cloudflare.js"),
    (name = "relaxed.wasm", wasm = embed "relaxed.wasm"),
    (name = "mozjpeg_dec.wasm", wasm = embed "mozjpeg_dec.wasm"),
    (name = "webp_dec.wasm", wasm = embed "webp_dec.wasm"),
    (name = "resnet_tiny.safetensors", data = embed "resnet_tiny.safetensors"),
  ],
);
