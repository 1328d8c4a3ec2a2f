/* Browsers refuse workers on pages opened from disk, and search runs in one. Here it gets a hidden frame instead,
   which hears and speaks as a worker does. On a server nothing is changed. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.appendChild(this.frame)
      const inside = this.frame.contentWindow
      inside.postMessage = data => setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data })))
      inside.importScripts = (...addresses) => addresses.reduce(
        (before, one) => before.then(() => load(inside, one)), Promise.resolve())
      this.ready = load(inside, new URL(address, location.href).href)
    }

    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })))
    }

    terminate() {
      this.frame.remove()
    }
  }

  const load = (inside, address) => new Promise((resolve, reject) => {
    const script = inside.document.createElement("script")
    script.src = address
    script.onload = resolve
    script.onerror = reject
    inside.document.body.appendChild(script)
  })
}
