package whole

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"runtime"
	"strconv"
	"time"

	"tillpost/cmd/tillpost/hand"
)

// supportParts is what a supplier needs to help. Nothing of it comes from a
// customer: no number, no text, no name; events hold ids and codes only.
var supportParts = []struct{ name, path string }{
	{"health.json", "/healthz"},
	{"status.json", "/api/v1/status?lang=en"},
	{"routes.json", "/api/v1/routes?lang=en"},
	{"check.json", "/api/v1/check"},
	{"events.json", "/api/v1/events?limit=1000&after="},
	{"metrics.txt", "/metrics"},
}

// supportEvents is how many events go along.
const supportEvents = 1000

// support gathers it in one file.
func (t tool) support(ctx context.Context, args []string) error {
	words, err := hand.Parse(hand.FlagSet("support"), args, "FILE")
	if err != nil {
		return err
	}
	path := words[0]
	missing := 0
	n, err := replace(path, func(w io.Writer) error {
		var err error
		missing, err = t.bundle(ctx, w)
		return err
	}, func(path string) error {
		r, err := zip.OpenReader(path)
		if err != nil {
			return err
		}
		return r.Close()
	})
	if err != nil {
		return err
	}
	if t.JSON {
		return t.Raw(map[string]any{"file": path, "bytes": n, "missing": missing}, nil)
	}
	fmt.Fprintf(t.Out, "%s: %d bytes. It holds no number and no text of a customer: send it to your supplier\n", path, n)
	if missing > 0 {
		fmt.Fprintf(t.Err, "%s could not be had; the file says why\n", hand.Count(missing, "part"))
	}
	return nil
}

// bundle writes the parts; one that cannot be had leaves its reason.
func (t tool) bundle(ctx context.Context, w io.Writer) (missing int, err error) {
	z := zip.NewWriter(w)
	add := func(name string, body []byte) error {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Now()})
		if err != nil {
			return err
		}
		_, err = f.Write(body)
		return err
	}
	after := "0"
	if s, err := t.Box.Status(ctx); err == nil {
		after = strconv.FormatUint(s.LastSeq-min(s.LastSeq, supportEvents), 10)
	}
	for _, p := range supportParts {
		target := p.path
		if p.name == "events.json" {
			target += url.QueryEscape(after)
		}
		body, err := t.Box.Raw(ctx, target)
		name := p.name
		if err != nil {
			missing++
			name, body = p.name+".missing.txt", []byte(err.Error()+"\n")
		}
		if err := add(name, body); err != nil {
			return missing, err
		}
	}
	about := fmt.Sprintf("made %s by tillpost on %s/%s, socket %q, url %q\n", time.Now().Format(time.RFC3339), runtime.GOOS, runtime.GOARCH, t.Socket, t.URL)
	return missing, errors.Join(add("about.txt", []byte(about)), z.Close())
}
