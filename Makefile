# Tillpost. `make run` shows it, `make test` proves it.

.PHONY: build run test check bench soak cross fmt clean

build: ## binaries of this machine into bin/
	go build -buildvcs=auto -o bin/ ./cmd/...

run: build ## the whole product with two simulated modems and a simulated SMSC
	bin/tillpostd -demo

test: ## everything CI runs; as root on Debian it installs what is missing
	cross/test.sh

check: ## format and vet only, in seconds
	@test -z "$$(gofmt -l cmd cross modem queue smpp systemd webui)" || { gofmt -l .; exit 1; }
	go vet ./...

bench: ## the figures of the README, beside the raw speed of this disk
	cross/bench.sh

soak: ## ten minutes of modems under faults, then the crash test with many more kills: make soak MODEMS=1h KILLS=500
	TILLPOST_SOAK=$(or $(MODEMS),10m) go test -count=1 -timeout=2h -v ./modem/soak
	TILLPOST_KILLS=$(or $(KILLS),300) go test -count=1 -timeout=60m -v -run 'TestCrash' ./cmd/tillpostd

cross: ## static binaries for every board into dist/
	cross/build.sh

fmt:
	gofmt -w cmd cross modem queue smpp systemd webui

clean:
	rm -rf bin dist artefacts
