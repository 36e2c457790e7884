#!/usr/bin/env bash
# One-node Kubernetes + real Tekton Pipelines v1.0.0, from packages only, in namespaces of its own.
#   lab.sh deps     Debian packages (once)
#   lab.sh build    Kubernetes, Tekton and lab binaries (cached by Go)
#   lab.sh up       start the node, load images, install Tekton; returns when it is ready
#   lab.sh kubectl ARGS...   lab.sh ctr ARGS...   lab.sh exec CMD...
#   lab.sh down     stop everything and remove what it left
#   lab.sh guard PID  down, once that process is gone
#   lab.sh left     fail if anything of the last node is still there
# Every process lives in one PID + mount + network namespace: killing its first process stops them all.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB=${LAB:-$here/../../.cache/tekton}
mkdir -p "$LAB" && LAB=$(cd "$LAB" && pwd)
BIN=$LAB/bin RUN=$LAB/run
NODE_IP=10.200.0.1
API_IP=10.96.0.1
# What the node's programs write to outside RUN; in the node each is a tmpfs of its own.
SCRATCH=(/var/lib/kubelet /var/log/pods /var/log/containers /run/containerd /run/netns /var/lib/cni /opt/cni /opt/containerd /etc/cni)
say() { printf '%7.1fs %s\n' "$(awk "BEGIN{print $(date +%s.%N)-${T0:-$(date +%s.%N)}}")" "$*"; }

deps() {
	"$here/../apt.sh" etcd-server containerd runc containernetworking-plugins iptables iproute2 util-linux busybox-static openssl curl procps
}

build() {
	mkdir -p "$BIN/tekton" "$LAB/images"
	export CGO_ENABLED=0
	local v=k8s.io/component-base/version
	(cd "$here/k8s" && go build -trimpath -p 2 -o "$BIN/k8s" \
		-ldflags "-s -w -X $v.gitVersion=v1.32.0 -X $v.gitMajor=1 -X $v.gitMinor=32" .)
	(cd "$here/pipelines" && go build -trimpath -p 2 -ldflags '-s -w' -o "$BIN/tekton/" tool ./resolvers)
	(cd "$here" && go build -trimpath -p 2 -ldflags '-s -w' -o "$BIN/" ./node/imgpack ./node/pause ./node/registry)
	pack
}

# pack makes the node's images and manifests of the binaries.
pack() {
	mkdir -p "$LAB/images"
	local i=$BIN/imgpack c
	"$i" -ref localhost/pause:1 -o "$LAB/images/pause.tar" -entrypoint /pause "$BIN/pause=/pause"
	for c in controller webhook resolvers entrypoint nop sidecarlogresults workingdirinit; do
		"$i" -user 65532:65532 -ref "localhost/tekton/$c:v1.0.0" -o "$LAB/images/$c.tar" -entrypoint "/ko-app/$c" "$BIN/tekton/$c=/ko-app/$c"
	done
	local applets
	mapfile -t applets < <(/bin/busybox --list | grep -vx busybox)
	"$i" -ref localhost/shell:1 -o "$LAB/images/shell.tar" /bin/busybox=/bin/busybox +/tmp \
		"${applets[@]/#/@/bin/busybox=/bin/}"
	# Tekton's own manifests, with its ko:// references replaced by the images above.
	local src
	src=$(cd "$here/pipelines" && go list -m -f '{{.Dir}}' github.com/tektoncd/pipeline)/config
	# Namespaces under the restricted Pod Security level need both set-security-context flags.
	rm -rf "$LAB/manifests" && mkdir -p "$LAB/manifests"
	local f n
	for f in $(cd "$src" && find . -maxdepth 2 -name '*.yaml' -not -name events.yaml -not -name '*hpa*'); do
		n=${f#./} n=${n//\//-}
		sed -E -e 's#ko://github.com/tektoncd/pipeline/cmd/([a-z]+)#localhost/tekton/\1:v1.0.0#' \
			-e 's/initialDelaySeconds: 5/initialDelaySeconds: 1/; s/periodSeconds: 10/periodSeconds: 1/' \
			-e 's/^(  set-security-context[a-z-]*): "false"/\1: "true"/' \
			-e 's#cgr.dev/chainguard/busybox@sha256:[0-9a-f]+#localhost/shell:1#' "$src/$f" >"$LAB/manifests/$n"
	done
}

# node runs as the first process of the new namespaces.
node() {
	mount --make-rprivate / && mount --make-rshared /
	local d
	for d in "${SCRATCH[@]}"; do mount -t tmpfs tmpfs "$d"; done
	mount --make-rshared /var/lib/kubelet
	# kubelet insists on these settings; it is shown files that hold them, so the machine's own stay as they are.
	local want
	for want in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1; do
		mkdir -p "$RUN/sysctl/${want%/*}" && echo "${want#*=}" >"$RUN/sysctl/${want%=*}"
		mount --bind "$RUN/sysctl/${want%=*}" "/proc/sys/${want%=*}"
	done
	ip link set lo up && ip addr add $API_IP/32 dev lo
	# A bridge without an address of its own takes the lowest of its pods', so that it changes as pods
	# come and go, and the others talk to an address that nobody has until their ARP entry is old.
	ip link add cni0 address 02:00:0a:c8:00:01 type bridge && ip addr add $NODE_IP/24 dev cni0 && ip link set cni0 up
	echo 'nameserver 127.0.0.1' >"$RUN/resolv.conf" && mount --bind "$RUN/resolv.conf" /etc/resolv.conf   # no name service: fail at once
	echo 1 >/proc/sys/net/ipv4/ip_forward
	cd "$RUN"
	local log=$RUN/log pki=$RUN/pki
	mkdir -p "$log" "$pki" "$RUN/etcd" "$RUN/containerd/root"
	mount -t tmpfs tmpfs "$RUN/etcd"
	openssl genrsa -out "$pki/sa.key" 2048 2>/dev/null && openssl rsa -in "$pki/sa.key" -pubout -out "$pki/sa.pub" 2>/dev/null
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$pki/api.key" -out "$pki/api.crt" -days 2 -subj /CN=tektonlab \
		-addext "subjectAltName=IP:$API_IP,IP:$NODE_IP,IP:127.0.0.1,DNS:kubernetes.default.svc" 2>/dev/null
	echo 'lab-admin,admin,1,"system:masters"' >"$pki/tokens.csv"
	cat >"$RUN/kubeconfig" <<-Y
		apiVersion: v1
		kind: Config
		clusters: [{name: lab, cluster: {server: "https://$NODE_IP:443", certificate-authority: $pki/api.crt}}]
		users: [{name: admin, user: {token: lab-admin}}]
		contexts: [{name: lab, context: {cluster: lab, user: admin}}]
		current-context: lab
	Y
	start() { local name=$1; shift; "$@" >"$log/$name.log" 2>&1 & echo "$name $!" >>"$RUN/pids"; }

	start etcd etcd --data-dir "$RUN/etcd/data" --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 \
		--advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
	start kube-apiserver "$BIN/k8s" kube-apiserver --etcd-servers http://127.0.0.1:2379 --secure-port 443 --bind-address 0.0.0.0 \
		--advertise-address $NODE_IP --service-cluster-ip-range 10.96.0.0/24 --tls-cert-file "$pki/api.crt" --tls-private-key-file "$pki/api.key" \
		--token-auth-file "$pki/tokens.csv" --authorization-mode RBAC --allow-privileged \
		--service-account-issuer https://kubernetes.default.svc --service-account-key-file "$pki/sa.pub" --service-account-signing-key-file "$pki/sa.key" \
		--kubelet-preferred-address-types InternalIP --enable-aggregator-routing --storage-media-type application/json
	mkdir -p "$RUN/cni/net.d"
	cat >"$RUN/cni/net.d/10-lab.conflist" <<-Y
		{"cniVersion":"0.4.0","name":"lab","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,
		"ipam":{"type":"host-local","ranges":[[{"subnet":"10.200.0.0/24","rangeStart":"10.200.0.10","gateway":"$NODE_IP"}]],"routes":[{"dst":"0.0.0.0/0"}],"dataDir":"/var/lib/cni"}}]}
	Y
	cat >"$RUN/containerd.toml" <<-Y
		version = 2
		root = "$RUN/containerd/root"
		state = "/run/containerd"
		oom_score = 0
		[grpc]
		  address = "/run/containerd/containerd.sock"
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "localhost/pause:1"
		  restrict_oom_score_adj = true
		  disable_apparmor = true
		  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
		    runtime_type = "io.containerd.runc.v2"
		  [plugins."io.containerd.grpc.v1.cri".cni]
		    bin_dir = "/usr/lib/cni"
		    conf_dir = "$RUN/cni/net.d"
		  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."$NODE_IP:5000"]
		    endpoint = ["http://$NODE_IP:5000"]
	Y
	start containerd containerd --config "$RUN/containerd.toml"
	start registry "$BIN/registry" $NODE_IP:5000
	cat >"$RUN/kubelet.yaml" <<-Y
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
		authorization: {mode: AlwaysAllow}
		cgroupDriver: cgroupfs
		cgroupsPerQOS: false
		enforceNodeAllocatable: []
		containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
		failSwapOn: false
		failCgroupV1: false
		localStorageCapacityIsolation: false
		evictionHard: {memory.available: "0%", nodefs.available: "0%", imagefs.available: "0%", nodefs.inodesFree: "0%"}
		imageGCHighThresholdPercent: 100
		makeIPTablesUtilChains: false
		resolvConf: ""
		serializeImagePulls: false
		syncFrequency: 10s
		nodeStatusUpdateFrequency: 5s
	Y
	until curl -sk -o /dev/null --max-time 1 https://$NODE_IP:443/readyz 2>/dev/null && "$BIN/k8s" kubectl --kubeconfig "$RUN/kubeconfig" get --raw /readyz >/dev/null 2>&1; do sleep 0.2; done
	start kube-controller-manager "$BIN/k8s" kube-controller-manager --kubeconfig "$RUN/kubeconfig" --leader-elect=false \
		--service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/api.crt"
	start kube-scheduler "$BIN/k8s" kube-scheduler --kubeconfig "$RUN/kubeconfig" --leader-elect=false
	start kubelet "$BIN/k8s" kubelet --kubeconfig "$RUN/kubeconfig" --config "$RUN/kubelet.yaml" \
		--node-ip $NODE_IP --hostname-override lab --root-dir /var/lib/kubelet
	touch "$RUN/started"
	wait -n || true   # the first component to stop ends the lab, with a hint in node.log
	local line
	while read -r line; do kill -0 "${line#* }" 2>/dev/null || echo "${line% *} stopped: see log/${line% *}.log"; done <"$RUN/pids"
	exit 1
}

kubectl() { nsenter -t "$(cat "$RUN/nspid")" -m -n -p -- "$BIN/k8s" kubectl --kubeconfig "$RUN/kubeconfig" "$@"; }
ctr() { nsenter -t "$(cat "$RUN/nspid")" -m -n -p -- ctr -a /run/containerd/containerd.sock -n k8s.io "$@"; }

up() {
	T0=$(date +%s.%N); export T0
	[ ! -e "$RUN/nspid" ] || { echo 'already up: lab.sh down first' >&2; exit 1; }
	mkdir -p "$RUN"
	before
	setsid unshare --mount --net --pid --fork --mount-proc --kill-child "$here/lab.sh" node >"$RUN/node.log" 2>&1 </dev/null 9>&- &
	local outer=$! i
	echo "$outer" >"$RUN/outerpid"
	for i in $(seq 100); do
		pgrep -P "$outer" >"$RUN/nspid" && break
		sleep 0.05
	done
	readlink "/proc/$(cat "$RUN/nspid")"/ns/{pid,net,mnt} >"$LAB/namespaces"
	for i in $(seq 600); do [ -e "$RUN/started" ] && break; kill -0 "$outer" 2>/dev/null || break; sleep 0.2; done
	alive() { kill -0 "$outer" 2>/dev/null || { cat "$RUN/node.log" >&2; exit 1; }; }
	[ -e "$RUN/started" ] || { tail "$RUN/node.log" "$RUN"/log/*.log >&2; exit 1; }
	say 'API server ready'
	for i in "$LAB"/images/*.tar; do ctr images import "$i" >/dev/null; done
	say 'images loaded'
	until kubectl get node lab -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null | grep -q True; do alive; sleep 0.3; done
	say 'node Ready'
	local m=$LAB/manifests
	kubectl apply -f "$m/100-namespace-100-namespace.yaml" >/dev/null
	kubectl apply --server-side -f "$m/" >/dev/null
	say 'Tekton applied'
	kubectl wait --for=condition=Available --timeout=180s -n tekton-pipelines deployment/tekton-pipelines-controller deployment/tekton-pipelines-webhook >/dev/null
	kubectl wait --for=condition=Available --timeout=180s -n tekton-pipelines-resolvers deployment/tekton-pipelines-remote-resolvers >/dev/null
	say 'Tekton controller, webhook and resolver available'
}

# before notes what left must not take for the node's, and makes the folders that are missing.
before() {
	links >"$LAB/links"
	cgroups | sort >"$LAB/cgroups"
	: >"$LAB/made"
	local d
	for d in "${SCRATCH[@]}"; do [ -d "$d" ] || { echo "$d" >>"$LAB/made" && mkdir -p "$d"; }; done
}

links() { ip -o link | awk -F '[ :@]+' '$2 ~ /^(cni|veth)/ {print $2}' | sort; }
cgroups() { find /sys/fs/cgroup -depth -type d \( -path '*/kubepods*' -o -path '*/k8s.io*' \); }

# ours are the first processes of the node, by the pid files: a number may be another's by now.
ours() {
	local f p
	for f in outerpid nspid; do
		p=$(cat "$RUN/$f" 2>/dev/null) && [ -n "$p" ] && grep -q lab.sh "/proc/$p/cmdline" 2>/dev/null && echo "$p"
	done
	return 0
}

# gone tells whether a process has ended; the first of a namespace does after all others in it.
gone() { ! grep '^State:' "/proc/$1/status" 2>/dev/null | grep -qv Z; }

down() {
	[ -d "$RUN" ] || return 0
	local i p
	for p in $(ours); do
		kill -9 "$p" 2>/dev/null || true
		for i in $(seq 300); do ! gone "$p" || break; sleep 0.1; done
	done
	for i in $(seq 20); do ! cgroups | xargs -r rmdir 2>/dev/null || break; sleep 0.1; done
	[ ! -e "$LAB/made" ] || xargs -r rmdir --ignore-fail-on-non-empty <"$LAB/made"
	rm -rf "$RUN"
}

guard() { tail -f /dev/null --pid "$1" && down; }

left() {
	local p n found=''
	for p in /proc/[0-9]*; do
		! gone "${p#/proc/}" || continue # waits for its parent, no more
		for n in pid net mnt; do
			grep -qxF "$(readlink "$p/ns/$n" 2>/dev/null)" "$LAB/namespaces" || continue
			found+="process ${p#/proc/}: $(tr '\0' ' ' <"$p/cmdline")"$'\n' && break
		done
	done
	found+=$(
		awk -v lab="$LAB/" 'index($5, lab) == 1 {print "mount " $5}' /proc/self/mountinfo
		links | comm -13 "$LAB/links" - | sed 's/^/link /'
		cgroups | sort | comm -13 "$LAB/cgroups" - | sed 's/^/cgroup /'
		# One that is not empty another program has taken: what the node writes there is in its own mounts.
		while read -r p; do [ ! -e "$p" ] || [ -n "$(ls -A "$p")" ] || echo "folder $p"; done <"$LAB/made"
		[ ! -e "$RUN" ] || echo "folder $RUN"
	)
	[ -z "$found" ] || { printf 'left behind:\n%s\n' "$found" >&2; exit 1; }
}

cmd=${1:-help}; shift || true
case $cmd in
deps | build | pack | up | down | guard | left | node | kubectl | ctr) "$cmd" "$@" ;;
exec) nsenter -t "$(cat "$RUN/nspid")" -m -n -p --wdns="$PWD" -- "$@" ;;
*) sed -n 2,10p "${BASH_SOURCE[0]}"; exit 2 ;;
esac
