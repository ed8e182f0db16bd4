// Package follow tells what happens in a box as it happens, over its websocket
// /live.
//
// It promises every event once and in order, and to say so when the connection
// breaks or the box falls silent. It is apart from the client so that whoever
// makes single calls carries no websocket.
package follow

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/websocket"

	"tillpost/webui/api/client"
	"tillpost/webui/api/wire"
)

const (
	silence   = 15 * time.Second // how long a followed box may say nothing; it beats every 4 s
	handshake = 30 * time.Second
)

// Events calls fn for every event from now on, or after the event given, until
// ctx ends, fn fails, or the connection breaks.
func Events(ctx context.Context, c *client.Client, after *uint64, fn func(wire.Event) error) error {
	path := client.Prefix + "/live"
	if after != nil {
		path += "?after=" + strconv.FormatUint(*after, 10)
	}
	header := http.Header{}
	for name, value := range c.Header() {
		header.Set(name, value)
	}
	// TLS, where there is any, is below: to the dialer it is a plain connection.
	d := websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.Dial(ctx) }, HandshakeTimeout: handshake}
	ws, resp, err := d.DialContext(ctx, "ws://"+c.Base()+path, header)
	if err != nil {
		if resp != nil {
			defer resp.Body.Close()
			if resp.StatusCode >= 400 {
				return client.Refused(resp.Status, resp.Header.Get, resp.Body)
			}
		}
		return c.NoBox(err)
	}
	stop := context.AfterFunc(ctx, func() { ws.Close() })
	defer func() {
		stop()
		ws.Close()
	}()
	for {
		if err := ws.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return c.NoBox(err)
		}
		var news wire.Happened
		if err := ws.ReadJSON(&news); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("client: the connection to the box broke: %w", err)
		}
		for _, e := range news.Items {
			if err := fn(e); err != nil {
				return err
			}
		}
	}
}
