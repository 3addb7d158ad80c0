"""Classes of the metadata of real checkpoints, and what stands in for their objects.

The classes are never imported: they need not be installed, and none of their code runs.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

# Each line: modules, colon, names in all of them. Sources: how numpy and the standard library pickle their classes, and
# reports of checkpoints of these frameworks that torch refuses to load.
_VALUES = """
builtins: getattr object int float str bool bytes list tuple dict slice range frozenset
argparse: Namespace
types: SimpleNamespace
typing: Any
uuid: UUID
decimal: Decimal
datetime: datetime date time timedelta timezone
pathlib pathlib._local: Path PurePath PosixPath PurePosixPath WindowsPath PureWindowsPath
numpy: ndarray dtype bool bool_ float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 str_ bytes_
numpy.core.multiarray numpy._core.multiarray: scalar _reconstruct
numpy.dtypes: BoolDType Float16DType Float32DType Float64DType Int8DType Int16DType Int32DType Int64DType
numpy.dtypes: UInt8DType UInt16DType UInt32DType UInt64DType StrDType BytesDType ObjectDType
numpy.random._pickle: __randomstate_ctor __generator_ctor __bit_generator_ctor
numpy.random._mt19937: MT19937
numpy.random._pcg64: PCG64
numpy.random.bit_generator: SeedSequence __pyx_unpickle_SeedSequence
torch.torch_version: TorchVersion
mmcv.utils.config mmengine.config.config: Config
mmengine.logging.history_buffer: HistoryBuffer
omegaconf.dictconfig: DictConfig
omegaconf.listconfig: ListConfig
omegaconf.base: ContainerMetadata Metadata
omegaconf.nodes: AnyNode IntegerNode FloatNode StringNode BooleanNode BytesNode PathNode EnumNode
pytorch_lightning.callbacks.model_checkpoint: ModelCheckpoint
pytorch_lightning.callbacks.lr_monitor: LearningRateMonitor
pytorch_lightning.callbacks.early_stopping: EarlyStopping
"""
_MAPPINGS = """
collections: defaultdict
addict.addict: Dict
mmcv.utils.config mmengine.config.config: ConfigDict
yacs.config fvcore.common.config detectron2.config.config: CfgNode
easydict: EasyDict
pytorch_lightning.utilities.parsing pytorch_lightning.core.saving: AttributeDict
lightning_fabric.utilities.data lightning.fabric.utilities.data: AttributeDict
"""
_LISTS = """
collections: deque
"""


class _Value:
    """In place of an object; holds nothing."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        """Ignore the state of the object."""


class _Mapping:
    """In place of a dict with attributes; builds a plain mapping, since torch's unpickler fills no other."""

    def __new__(cls, *_: Any) -> Any:
        return OrderedDict()


class _List:
    """In place of a list; builds a plain one, since torch's unpickler fills no other."""

    def __new__(cls, *_: Any) -> Any:
        return []


def _names(lines: str) -> list[str]:
    """Return the full names of the classes in a table."""
    rows = [line.partition(":") for line in lines.strip().splitlines()]
    return [f"{module}.{name}" for modules, _, names in rows for module in modules.split() for name in names.split()]


STAND_INS: list[Any] = [
    (stand_in, name)
    for stand_in, lines in ((_Value, _VALUES), (_Mapping, _MAPPINGS), (_List, _LISTS))
    for name in _names(lines)
]
"""(stand-in, full name of the class), as `torch.serialization.safe_globals` takes them."""
