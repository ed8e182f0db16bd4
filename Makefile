# Tillpost. `make run` shows it, `make test` proves it.

.PHONY: build run test check bench crash soak cross fmt clean

build: ## binaries of this machine into bin/, made as those that are shipped
	CGO_ENABLED=0 go build -buildvcs=auto -o bin/ ./cmd/...

run: build ## the whole product with two simulated modems and a simulated SMSC
	bin/tillpostd -demo

test: ## everything CI runs; as root on Debian it installs what is missing
	cross/test.sh

check: ## format and vet only, in seconds
	@test -z "$$(gofmt -l cmd cross modem queue smpp systemd webui)" || { gofmt -l .; exit 1; }
	go vet ./...

bench: ## the figures of the README, beside the raw speed of this disk
	cross/bench.sh

crash: ## a thousand kills while everything goes wrong, a hundred power cuts, a disk that fills up: make crash KILLS=200 CUTS=20
	TILLPOST_KILLS=$(or $(KILLS),1000) TILLPOST_CUTS=$(or $(CUTS),100) go test -count=1 -timeout=6h -v -run 'TestCrash|TestHarness|TestPowerCut|TestDiskOf' ./cmd/tillpostd

soak: ## ten minutes of modems under faults, then the crash runs with 300 kills: make soak MODEMS=1h KILLS=500
	TILLPOST_SOAK=$(or $(MODEMS),10m) go test -count=1 -timeout=2h -v ./modem/soak
	$(MAKE) crash KILLS=$(or $(KILLS),300)

cross: ## static binaries for every board into dist/
	cross/build.sh

fmt:
	gofmt -w cmd cross modem queue smpp systemd webui

clean:
	rm -rf bin dist artefacts
