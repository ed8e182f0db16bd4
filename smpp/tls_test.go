package smpp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/smpp/smsc"
)

// Trap 15: TLS checks the name that was dialled.
func TestTLSChecksTheName(t *testing.T) {
	cert, pool := certificate(t, "localhost")
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	m := smsc.New(smsc.Config{Keep: true})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]route.State{"localhost": route.Ready, "127.0.0.1": route.Waiting} {
		rec := newRecorder()
		c := newClient(t, net.JoinHostPort(host, port), rec, func(cfg *Config) {
			cfg.TLS = &tls.Config{RootCAs: pool}
			dial := (&net.Dialer{}).DialContext
			cfg.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dial(ctx, network, l.Addr().String())
			}
		})
		stop := run(t, c, rec)
		rec.untilState(t, want)
		if want == route.Waiting && !strings.Contains(rec.last().Detail, "certificate") {
			t.Errorf("the status is %+v", rec.last())
		}
		if want == route.Ready {
			if _, err := c.Send(within(t), message(1, "hello")); err != nil {
				t.Error(err)
			}
		}
		stop()
	}
}

func certificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
