"""The only etcd client, and the only importer of grpc; keeps the contract of `state.store`."""

from state.etcd.settings import EtcdSettings, Tls
from state.etcd.store import EtcdStore

__all__ = ["EtcdSettings", "EtcdStore", "Tls"]
