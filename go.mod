module tillpost

go 1.26.0

require (
	github.com/BurntSushi/toml v1.6.0
	github.com/ajstarks/svgo v0.0.0-20211024235047-1546f124cd8b
	github.com/coreos/go-systemd/v22 v22.7.0
	github.com/fiorix/go-smpp v0.0.0-20210403173735-2894b96e70ba
	github.com/gorilla/websocket v1.5.3
	github.com/mozillazg/go-unidecode v0.2.0
	github.com/rivo/uniseg v0.4.7
	github.com/warthog618/modem v0.4.0
	github.com/warthog618/sms v0.3.0
	github.com/wneessen/go-mail v0.8.1
	go.bug.st/serial v1.8.0
	go.etcd.io/bbolt v1.5.0
	go.uber.org/goleak v1.3.0
	golang.org/x/crypto v0.58.0
	golang.org/x/sys v0.49.0
	golang.org/x/text v0.43.0
	golang.org/x/time v0.16.0
	pgregory.net/rapid v1.3.0
)

require github.com/pkg/errors v0.9.1 // indirect
