"""Generated messages of etcd's v3 API; `rpc.proto` beside this says how to make them anew."""
