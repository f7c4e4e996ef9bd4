// Draws the frames of a shot with three.js, and sends each as raw RGBA pixels to the server that compares it.

import * as THREE from "three";
import { RoomEnvironment } from "three/addons/environments/RoomEnvironment.js";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";

const SUPERSAMPLING = 2; // in each direction
const SHADOW_MAP_SIZE = 2048;

const matrix = (rows) => new THREE.Matrix4().set(...rows.flat());

async function open() {
  const shot = await (await fetch("/shot")).json();
  const renderer = new THREE.WebGLRenderer({ canvas: document.querySelector("canvas"), preserveDrawingBuffer: true });
  renderer.setPixelRatio(SUPERSAMPLING);
  renderer.setSize(shot.width, shot.height);
  renderer.shadowMap.enabled = true;
  renderer.shadowMap.type = THREE.PCFShadowMap;
  renderer.toneMapping = THREE.NeutralToneMapping;
  renderer.setClearColor(0xffffff);

  const scene = new THREE.Scene();
  scene.environment = new THREE.PMREMGenerator(renderer).fromScene(new RoomEnvironment(), 0.04).texture;
  const subject = new THREE.Group();
  subject.matrixAutoUpdate = false;
  subject.matrix.copy(matrix(shot.root)).multiply(new THREE.Matrix4().makeRotationX(Math.PI / 2)); // glTF's y is up
  subject.matrixWorldNeedsUpdate = true;
  subject.add((await new GLTFLoader().loadAsync("/model")).scene);
  subject.traverse((node) => (node.castShadow = node.receiveShadow = Boolean(node.isMesh)));
  const ground = new THREE.Mesh(new THREE.PlaneGeometry(20, 20), new THREE.ShadowMaterial({ opacity: 0.35 }));
  ground.receiveShadow = true;
  const key = new THREE.DirectionalLight(0xffffff, 2);
  key.position.set(2, -3, 4);
  key.castShadow = true;
  key.shadow.mapSize.set(SHADOW_MAP_SIZE, SHADOW_MAP_SIZE);
  key.shadow.radius = 6;
  Object.assign(key.shadow.camera, { left: -2.5, right: 2.5, top: 2.5, bottom: -2.5 });
  scene.add(subject, ground, key);

  const camera = new THREE.PerspectiveCamera(shot.fov, shot.width / shot.height, 0.05, 100);
  camera.matrixAutoUpdate = false;
  const small = new OffscreenCanvas(shot.width, shot.height).getContext("2d", { willReadFrequently: true });
  small.imageSmoothingQuality = "high";
  return (pose) => {
    camera.matrix.copy(matrix(pose));
    camera.matrixWorldNeedsUpdate = true;
    renderer.render(scene, camera);
    small.drawImage(renderer.domElement, 0, 0, shot.width, shot.height);
    return fetch("/frame", { method: "POST", body: small.getImageData(0, 0, shot.width, shot.height).data });
  };
}

const draw = await open();
window.drawFrames = async (poses) => {
  for (const pose of poses) await draw(pose);
};
