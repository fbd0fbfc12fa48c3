#!/usr/bin/env python3
"""Writes kubernetes_types.json: the structural types of the built-in kinds that the simulated cluster serves.

The source is the schema that k8s.io/client-go publishes for server-side apply (Apache-2.0), in
applyconfigurations/internal/internal.go. Usage: kubernetes_types.py INTERNAL_GO > kubernetes_types.json

Each type maps a field to a short type expression:
  string | numeric | boolean | untyped   a scalar (untyped: whatever JSON has)
  core.v1.Probe                          another type of this file
  atomic[T]  set[T]  map(k1,k2=TCP)[T]   lists: replaced whole; a set; keyed (with the key's default)
  {T}  atomic{T}                         maps from string to T: merged key by key; replaced whole
A type under "atomic" is replaced whole even though its fields are known.
"""
import json
import sys

import yaml

ROOTS = """
core.v1.Namespace core.v1.ConfigMap core.v1.Secret core.v1.Service core.v1.ServiceAccount core.v1.Pod core.v1.Node
core.v1.Event core.v1.PersistentVolumeClaim core.v1.PersistentVolume core.v1.Endpoints core.v1.ResourceQuota
core.v1.LimitRange apps.v1.Deployment apps.v1.StatefulSet apps.v1.DaemonSet apps.v1.ReplicaSet batch.v1.Job
batch.v1.CronJob rbac.v1.Role rbac.v1.RoleBinding rbac.v1.ClusterRole rbac.v1.ClusterRoleBinding
networking.v1.Ingress networking.v1.IngressClass networking.v1.NetworkPolicy policy.v1.PodDisruptionBudget
coordination.v1.Lease storage.v1.StorageClass scheduling.v1.PriorityClass autoscaling.v2.HorizontalPodAutoscaler
discovery.v1.EndpointSlice
""".split()


def short(name):
    return name.removeprefix("io.k8s.api.").removeprefix("io.k8s.apimachinery.pkg.")


def expression(ref, types):
    if "namedType" in ref:
        inner = types[ref["namedType"]]
        if "map" not in inner:
            return inner.get("scalar", "untyped")
        if "fields" not in inner["map"]:
            return "untyped"
        return short(ref["namedType"])
    if "scalar" in ref:
        return ref["scalar"]
    if "list" in ref:
        element = ref["list"]["elementType"]
        inner = expression(element, types)
        if ref["list"]["elementRelationship"] == "atomic":
            return f"atomic[{inner}]"
        keys = ref["list"].get("keys")
        if not keys:
            return f"set[{inner}]"
        fields = {f["name"]: f for f in types[element["namedType"]]["map"]["fields"]}
        with_default = [k + (f"={fields[k]['default']}" if fields[k].get("default") else "") for k in keys]
        return f"map({','.join(with_default)})[{inner}]"
    inner = expression(ref["map"]["elementType"], types)
    return ("atomic" if ref["map"].get("elementRelationship") == "atomic" else "") + "{" + inner + "}"


def main():
    text = open(sys.argv[1], encoding="utf-8").read()
    text = text.split("typed.YAMLObject(`", 1)[1].split("`)", 1)[0]
    types = {t["name"]: t for t in yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["types"]}
    names = {short(n): n for n in types}
    todo, done, atomic = list(ROOTS), {}, []
    while todo:
        name = todo.pop()
        if name in done:
            continue
        body = types[names[name]]["map"]
        done[name] = {f["name"]: expression(f["type"], types) for f in body["fields"]}
        if body.get("elementRelationship") == "atomic":
            atomic.append(name)
        for value in done[name].values():
            inner = value.replace("{", "[").replace("}", "]").split("[")[-1].rstrip("]")
            if inner in names:
                todo.append(inner)
    lines = [f'"{n}":' + json.dumps(done[n], sort_keys=True, separators=(",", ":")) for n in sorted(done)]
    print('{"atomic":' + json.dumps(sorted(atomic)) + ',"types":{\n' + ",\n".join(lines) + "\n}}")


main()
