# `make help` lists what can be done. Nothing here needs root but `make deps`.

.DEFAULT_GOAL := help
.PHONY: help run test check bench vendor container deps chaos dashboard

help: ## say what can be done
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 18

run: ## build and start a whole hub on simulated markets; ARGS="--help" shows its flags
	@scripts/tools
	@scripts/dashboard
	cargo build --release -p mdhub -p mdhub-simapi
	@MDHUB_DASHBOARD=web/dashboard/out exec target/release/mdhub demo $(ARGS)

test: ## run every test: unit, integration, end to end; ends with their counts
	@scripts/tools
	@python3 scripts/run_tests.py

dashboard: ## build the dashboard's pages into web/dashboard/out, if they are not as their sources are
	@scripts/tools
	@scripts/dashboard

check: ## judge the source: format, lints, licences, documentation
	@scripts/check

vendor: ## fetch the vendor's real libraries, by hash, into vendor/ (tests load them)
	@PATH="$(CURDIR)/target/e2e-venv/bin:$$PATH" gateways/vendor.sh # the tests' pip, where python3 has none

deps: ## as root: install the Debian packages that the tests lack
	@scripts/deps

bench: ## measure the feed beside its peers, in one run of six minutes; ARGS="--quick" in one (needs a C++ compiler)
	@scripts/tools
	@command -v c++ >/dev/null || { echo "make bench: c++ is missing. Get it with: sudo apt-get install -y g++"; exit 1; }
	cargo build --release -p mdhub -p mdhub-simapi -p mdhub-bench
	@exec target/release/mdhub-bench $(ARGS)

chaos: ## 300 faults on a real hub, judged by what healthy sources said; ARGS="--seed 7 --soak 60" for an hour of them
	@scripts/tools
	@scripts/chaos $(ARGS)

container: ## build the image, run it as compose.yaml says, judge it from outside (as root, where no engine is)
	@scripts/container $(ARGS)
