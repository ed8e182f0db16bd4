// Package whole is the words of the operator's command that need more of the
// house than a client: those that open a store, read and write lists, follow the
// websocket, speak TLS or look at the machine.
//
// It is part of tillpostd's program, under the name tillpost: what every such
// start costs is paid by those who say these words, and what knows the store is
// one file on the disk. It promises what package hand promises of every word,
// and may import every package of the house.
package whole

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"path/filepath"

	"tillpost/cmd/tillpost/hand"
)

// tool is one invocation, as hand has read it.
type tool struct{ *hand.Tool }

func verb(run func(tool, context.Context, []string) error) hand.Verb {
	return func(t *hand.Tool, ctx context.Context, args []string) error { return run(tool{t}, ctx, args) }
}

var rest = hand.Rest{
	Verbs: map[string]hand.Verb{
		"preview -template": verb(tool.previewTemplate),
		"batch":             verb(tool.batch),
		"contacts":          verb(tool.contacts),
		"backup":            verb(tool.backup),
		"restore":           verb(tool.restore),
		"support":           verb(tool.support),
		"check":             verb(tool.check),
		"doctor":            verb(tool.doctor),
		"tail":              verb(tool.tail),
	},
	Secure: secure,
	Socket: func() string { return filepath.Join(configuredDir(), "tillpost.sock") },
}

// Run does what args say, whatever it is, and returns the exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	code, _ := hand.Run(ctx, args, stdin, stdout, stderr, &rest)
	return code
}

// secure speaks TLS with a box that has a certificate the world knows.
func secure(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
	safe := tls.Client(conn, &tls.Config{ServerName: host})
	return safe, safe.HandshakeContext(ctx)
}
