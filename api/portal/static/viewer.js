// model-viewer would load the decoder for Draco from another host: it is beside this file.

self.ModelViewerElement = { dracoDecoderLocation: new URL(".", document.currentScript.src).href };
