/** The microphone: asking for it, and saying in words why there is none. */

/** Why there is no sound, and what to do. */
export class MicrophoneError extends Error {
  override readonly name = "MicrophoneError";
  constructor(
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

/** @throws {MicrophoneError} */
export async function openMicrophone(): Promise<MediaStream> {
  // Browsers hide the microphone from pages that came over plain http from another machine.
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (devices === undefined) {
    throw new MicrophoneError(
      "The browser gives this page no microphone",
      "Open the page over https, or on the server's own machine as http://localhost. Or record elsewhere and drop the file here.",
    );
  }
  try {
    return await devices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    switch ((error as DOMException).name) {
      case "NotAllowedError":
        throw new MicrophoneError(
          "The microphone is not allowed for this page",
          "Allow it in the browser's address bar (the icon beside the address), then try again.",
        );
      case "NotFoundError":
        throw new MicrophoneError("No microphone was found", "Plug one in, or choose one in the system's settings.");
      default:
        throw new MicrophoneError(
          "The microphone cannot be opened",
          "Another program may be using it: close that one, then try again.",
        );
    }
  }
}

/** Switches a microphone off. */
export function closeMicrophone(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}
