# workerd serve dist/edge/workerd_bytes.capnp
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "classifier", worker = .classifier)],
  sockets = [(name = "http", address = "127.0.0.1:8080", http = (), service = "classifier")],
);

const classifier :Workerd.Worker = (
  compatibilityDate = "2025-07-01",
  modules = [
    (name = "cloudflare_bytes.js", esModule = embed "cloudflare_bytes.js"),
    (name = "resnet_tiny.safetensors", data = embed "resnet_tiny.safetensors"),
  ],
);
