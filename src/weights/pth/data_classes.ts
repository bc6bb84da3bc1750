/**
 * Classes of data that checkpoints hold beside tensors. They are names only: none of their code
 * exists here. Every other name in a pickle is rejected.
 *
 * @module
 */

/** `prefix.a`, `prefix.b`, … for a text of names. */
function names(prefix: string, list: string): string[] {
  return list.split(" ").map((name) => `${prefix}.${name}`);
}

/** Subclasses of dict. Their items may be tensors. */
export const dictClasses: ReadonlySet<string> = new Set([
  ...names("collections", "OrderedDict defaultdict Counter"),
  ...["builtins.dict", "__builtin__.dict"],
  "pytorch_lightning.utilities.parsing.AttributeDict",
  "lightning.pytorch.utilities.parsing.AttributeDict",
  "lightning_fabric.utilities.data.AttributeDict",
  "lightning.fabric.utilities.data.AttributeDict",
  ...["easydict.EasyDict", "addict.addict.Dict", "yacs.config.CfgNode"],
  ...["mmcv.utils.config.ConfigDict", "mmengine.config.config.ConfigDict"],
]);

/** Built-in types that are only values, in Python 3 and 2. */
const builtins = "set frozenset bytes bytearray complex list tuple str int float bool object " +
  "range slice type";

/** The scalar types of NumPy. */
const scalars =
  "bool_ bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 intc uintc longlong " +
  "ulonglong float16 float32 float64 longdouble complex64 complex128 str_ bytes_ void object_ " +
  "datetime64 timedelta64 generic number";

/** The data types of NumPy since 1.25. */
const numpyTypes = "Bool Int8 Int16 Int32 Int64 UInt8 UInt16 UInt32 UInt64 Float16 Float32 " +
  "Float64 LongDouble Complex64 Complex128 Str Bytes Object DateTime64 TimeDelta64";

/** All other classes and functions that make values without tensors. */
export const opaqueClasses: ReadonlySet<string> = new Set([
  ...names("builtins", builtins),
  ...names("__builtin__", `${builtins} xrange unicode long`),
  ...["_codecs.encode", "copy_reg._reconstructor", "copyreg._reconstructor"],
  ...["copyreg.__newobj__", "copy_reg.__newobj__"],
  ...["collections.deque", "types.SimpleNamespace", "argparse.Namespace", "uuid.UUID"],
  ...["decimal.Decimal", "fractions.Fraction", "ipaddress.IPv4Address"],
  ...names("datetime", "date datetime time timedelta timezone"),
  ...names("pathlib", "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath"),
  ...names("pathlib._local", "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath"),
  ...["numpy.core.multiarray", "numpy._core.multiarray"].flatMap((module) =>
    names(module, "scalar _reconstruct")
  ),
  ...["numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"],
  ...names("numpy", `dtype ndarray ${scalars}`),
  ...names("numpy.dtypes", numpyTypes.split(" ").map((type) => `${type}DType`).join(" ")),
  ...names("numpy.random._pickle", "__randomstate_ctor __generator_ctor __bit_generator_ctor"),
  ...["numpy.random._mt19937.MT19937", "numpy.random._pcg64.PCG64"],
  ...["torch.device", "torch.torch_version.TorchVersion", "torch.memory_format", "torch.layout"],
  ...["torch.strided", "torch.contiguous_format", "torch.channels_last", "typing.Any"],
  "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
  "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
  "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint",
  "lightning.pytorch.callbacks.early_stopping.EarlyStopping",
  ...["omegaconf.dictconfig.DictConfig", "omegaconf.listconfig.ListConfig"],
  ...names("omegaconf.base", "ContainerMetadata Metadata"),
  ...names("omegaconf.nodes", "AnyNode StringNode IntegerNode FloatNode BooleanNode EnumNode"),
]);
