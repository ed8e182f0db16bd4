// Package live carries news to browsers and programs over websockets.
//
// A Hub wakes its connections when something changed, at most four times a
// second (with many connections less often, see wait), and each connection asks its own Source what is new to it. Nothing
// is queued for anybody: a connection that reads slowly finds one larger piece
// of news when it is ready, and one that does not read at all fails its write
// deadline and is dropped. No connection can hold up another, nor the box.
//
// It promises that Run leaves no connection and no goroutine behind. It knows
// nothing of the house and imports nothing of it.
package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	pace      = 250 * time.Millisecond // between two wakes
	share     = time.Millisecond       // of a wake, for each connection: see wait
	beatEach  = 4 * time.Second        // the page gives the box up after 10 s
	pingEach  = 25 * time.Second
	readWait  = 60 * time.Second // for the pong to a ping
	writeWait = 5 * time.Second
	readLimit = 4096 // nobody has anything to tell us
	maxConns  = 2000
)

// Source is what one connection follows. Its methods are called from one
// goroutine.
type Source interface {
	// Next returns what is new since the last call, nil for nothing. An error
	// ends the connection.
	Next() ([]byte, error)
	// Beat returns the shortest message that says: the box is there.
	Beat() []byte
}

// Hub is a set of connections. Create it with NewHub and run it.
type Hub struct {
	subscribe func() (<-chan struct{}, func())
	pace      time.Duration
	writeWait time.Duration

	mu    sync.Mutex
	news  chan struct{} // closed at the next wake
	ended chan struct{} // closed when Run ends
	over  bool
	conns map[*conn]bool
	all   sync.WaitGroup
}

// NewHub makes a hub that wakes when the channel of subscribe gives a token.
func NewHub(subscribe func() (<-chan struct{}, func())) *Hub {
	return &Hub{
		subscribe: subscribe, pace: pace, writeWait: writeWait,
		news: make(chan struct{}), ended: make(chan struct{}), conns: map[*conn]bool{},
	}
}

// Run wakes connections until ctx ends, then says goodbye to them and waits
// until they are closed.
func (h *Hub) Run(ctx context.Context) {
	token, stop := h.subscribe()
	defer stop()
	for ctx.Err() == nil {
		select {
		case <-token:
			h.Wake()
		case <-ctx.Done():
		}
		select {
		case <-time.After(h.wait()):
		case <-ctx.Done():
		}
	}
	h.mu.Lock()
	h.over = true
	close(h.ended)
	h.mu.Unlock()
	h.all.Wait()
}

// wait is the pause after a wake. Up to 250 connections are told four times a
// second; more share that, so that a thousand watchers, told once a second, do
// not take from sending what sending needs.
func (h *Hub) wait() time.Duration { return max(h.pace, time.Duration(h.Len())*share) }

// turn is when a connection is told within a wake: at once where few are, else
// at a moment of its own, so that all of them are never told at the same time.
func (h *Hub) turn() time.Duration {
	spread := h.wait() - h.pace
	if spread <= 0 {
		return 0
	}
	return rand.N(spread)
}

// Wake lets every connection look for news.
func (h *Hub) Wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.news)
	h.news = make(chan struct{})
}

// Len is the number of connections.
func (h *Hub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}

func (h *Hub) next() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.news
}

var (
	errOver = errors.New("live: the box is stopping")
	errMany = fmt.Errorf("live: %d connections are open, which is the most", maxConns)
)

// Serve makes a websocket of the request and follows src until the other end
// leaves, is too slow, or Run ends. origin decides about the Origin header;
// nil allows any, which is right only where a header the browser cannot set
// has said who calls. Before the upgrade the request is answered with a status;
// after it an error means that the connection broke.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, src Source, origin func(*http.Request) bool) error {
	c := &conn{hub: h, src: src}
	if err := h.admit(c); err != nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return err
	}
	defer h.leave(c)
	if origin == nil {
		origin = func(*http.Request) bool { return true }
	}
	up := websocket.Upgrader{CheckOrigin: origin, ReadBufferSize: 512, WriteBufferSize: 4096, HandshakeTimeout: h.writeWait}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return err // Upgrade has answered
	}
	c.ws = ws
	return c.run()
}

func (h *Hub) admit(c *conn) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.over:
		return errOver
	case len(h.conns) >= maxConns:
		return errMany
	}
	h.conns[c] = true
	h.all.Add(1)
	return nil
}

func (h *Hub) leave(c *conn) {
	h.mu.Lock()
	delete(h.conns, c)
	h.mu.Unlock()
	h.all.Done()
}

// conn is one connection. Its run goroutine is the only one that writes.
type conn struct {
	hub *Hub
	src Source
	ws  *websocket.Conn
}

func (c *conn) run() error {
	gone := make(chan struct{})
	go c.listen(gone)
	err := c.talk(gone)
	c.ws.Close()
	<-gone
	return err
}

// listen reads what nobody has to say, because only who reads learns of a
// close or a pong.
func (c *conn) listen(gone chan<- struct{}) {
	defer close(gone)
	c.ws.SetReadLimit(readLimit)
	extend := func(string) error { return c.ws.SetReadDeadline(time.Now().Add(readWait)) }
	c.ws.SetPongHandler(extend)
	if extend("") != nil {
		return
	}
	for {
		if _, _, err := c.ws.NextReader(); err != nil {
			return
		}
	}
}

func (c *conn) talk(gone <-chan struct{}) error {
	beat, ping := time.NewTicker(beatEach), time.NewTicker(pingEach)
	defer beat.Stop()
	defer ping.Stop()
	for {
		// Asked for before Next, so that what happens during it is not missed.
		news := c.hub.next()
		body, err := c.src.Next()
		if err != nil {
			return c.bye(websocket.ClosePolicyViolation, err)
		}
		if body != nil {
			if err := c.write(body); err != nil {
				return err
			}
			beat.Reset(beatEach)
		}
		var turn <-chan time.Time
		for waiting := true; waiting; {
			select {
			case <-news:
				news, turn = nil, time.After(c.hub.turn())
			case <-turn:
				waiting = false
			case <-beat.C:
				if err := c.write(c.src.Beat()); err != nil {
					return err
				}
			case <-ping.C:
				if err := c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.hub.writeWait)); err != nil {
					return fmt.Errorf("live: ping: %w", err)
				}
			case <-gone:
				return nil
			case <-c.hub.ended:
				return c.bye(websocket.CloseGoingAway, errOver)
			}
		}
	}
}

func (c *conn) write(body []byte) error {
	if err := c.ws.SetWriteDeadline(time.Now().Add(c.hub.writeWait)); err != nil {
		return fmt.Errorf("live: %w", err)
	}
	if err := c.ws.WriteMessage(websocket.TextMessage, body); err != nil {
		return fmt.Errorf("live: the other end left, or took nothing for %s: %w", c.hub.writeWait, err)
	}
	return nil
}

// bye tells the other end why, if it still listens.
func (c *conn) bye(code int, why error) error {
	frame := websocket.FormatCloseMessage(code, why.Error())
	if err := c.ws.WriteControl(websocket.CloseMessage, frame, time.Now().Add(c.hub.writeWait)); err != nil {
		return fmt.Errorf("live: close: %w", err)
	}
	if errors.Is(why, errOver) {
		return nil
	}
	return why
}
